package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
)

// Prometheus must have scraped for so long; what comes and goes counts if it was there in this time.
const seen = 2 * time.Minute

var variables = strings.NewReplacer("$__rate_interval", "1m", "$__range", "2m", "$namespace", ".*", "$device", ".*", "$group", ".*")

// server is the address of a Prometheus.
type server string

// selectors are the selectors of an expression, each as text without range.
func selectors(expression string) (all []string, err error) {
	parsed, err := parser.ParseExpr(variables.Replace(expression))
	if err != nil {
		return nil, err
	}
	parser.Inspect(parsed, func(node parser.Node, _ []parser.Node) error {
		if selector, ok := node.(*parser.VectorSelector); ok {
			bare := &parser.VectorSelector{Name: selector.Name, LabelMatchers: selector.LabelMatchers}
			all = append(all, bare.String())
		}
		return nil
	})
	return all, nil
}

// series asks for every expression of the dashboards, and every selector of the rules.
func series(prometheus server, files []string) (mistakes []string, err error) {
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		asked, err := questions(file, content)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		for _, one := range asked {
			found, err := prometheus.count(one.expression)
			if err != nil {
				return nil, fmt.Errorf("%s: %s: %w", file, one.place, err)
			}
			if found == 0 {
				mistakes = append(mistakes, fmt.Sprintf("%s: %s: no series for %s", file, one.place, one.expression))
			}
		}
	}
	return mistakes, nil
}

func questions(file string, content []byte) (all []target, err error) {
	if !strings.HasSuffix(file, ".json") {
		return ruleQuestions(content)
	}
	board, err := readDashboard(content)
	if err != nil {
		return nil, err
	}
	for _, panel := range panels(board) {
		for _, one := range targets(panel) {
			all = append(all, target{place: one.place, expression: variables.Replace(one.expression)})
		}
	}
	return all, nil
}

// A condition of an alert is false where all is well, so its selectors are asked for; a recording rule as it is.
func ruleQuestions(content []byte) (all []target, err error) {
	rules, err := readRules(content)
	if err != nil {
		return nil, err
	}
	for _, rule := range rules {
		if rule.Record != "" {
			all = append(all, target{place: rule.Record, expression: rule.Expr}, target{place: rule.Record, expression: rule.Record})
			continue
		}
		found, err := selectors(rule.Expr)
		if err != nil {
			return nil, err
		}
		for _, one := range found {
			all = append(all, target{place: rule.Alert, expression: one})
		}
	}
	return all, nil
}

// count says how many series an expression returned within the last minutes.
func (prometheus server) count(expression string) (int, error) {
	now := time.Now()
	var answer struct {
		Data struct{ Result []json.RawMessage }
	}
	parameters := url.Values{"query": {expression}, "start": {seconds(now.Add(-seen))}, "end": {seconds(now)}, "step": {"5"}}
	err := prometheus.get("/api/v1/query_range?"+parameters.Encode(), &answer)
	return len(answer.Data.Result), err
}

func seconds(at time.Time) string { return strconv.FormatInt(at.Unix(), 10) }

func (prometheus server) get(path string, answer any) error {
	client := http.Client{Timeout: 20 * time.Second}
	response, err := client.Get(string(prometheus) + path)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("Prometheus answers %s", response.Status)
	}
	return json.NewDecoder(response.Body).Decode(answer)
}
