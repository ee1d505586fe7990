// Holds dashboards and rules to their form, and to what a running Prometheus knows.
//
//	check form FILE…          the form of dashboards (.json) and rules (.yaml)
//	check series URL FILE…    every expression of a panel returns series, and every selector of a rule finds some
package main

import (
	"errors"
	"fmt"
	"os"
)

func main() {
	mistakes, err := run(os.Args[1:])
	for _, mistake := range mistakes {
		fmt.Fprintln(os.Stderr, mistake)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
	}
	if err != nil || len(mistakes) > 0 {
		os.Exit(1)
	}
}

func run(arguments []string) ([]string, error) {
	switch {
	case len(arguments) > 1 && arguments[0] == "form":
		return form(arguments[1:])
	case len(arguments) > 2 && arguments[0] == "series":
		return series(server(arguments[1]), arguments[2:])
	}
	return nil, errors.New("usage: check form FILE…, or check series URL FILE…")
}
