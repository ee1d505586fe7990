package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/prometheus/prometheus/model/rulefmt"
)

func form(files []string) (mistakes []string, err error) {
	uids := map[string]string{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var found []string
		if strings.HasSuffix(file, ".json") {
			board, err := readDashboard(content)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", file, err)
			}
			found = lintDashboard(board)
			if other, taken := uids[text(board.Uid)]; taken {
				found = append(found, "has the uid of "+other)
			}
			uids[text(board.Uid)] = file
		} else if found, err = lintRules(content); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		for _, one := range found {
			mistakes = append(mistakes, file+": "+one)
		}
	}
	return mistakes, nil
}

func readRules(content []byte) ([]rulefmt.Rule, error) {
	groups, errs := rulefmt.Parse(content, false)
	if len(errs) > 0 {
		return nil, errs[0]
	}
	var all []rulefmt.Rule
	for _, group := range groups.Groups {
		all = append(all, group.Rules...)
	}
	return all, nil
}

// lintRules asks of every alert what an administrator needs at night.
func lintRules(content []byte) (mistakes []string, err error) {
	rules, err := readRules(content)
	if err != nil {
		return nil, err
	}
	for _, rule := range rules {
		if rule.Alert == "" {
			continue
		}
		for _, name := range []string{"summary", "description", "runbook_url"} {
			if rule.Annotations[name] == "" {
				mistakes = append(mistakes, rule.Alert+" has no annotation "+name)
			}
		}
		switch rule.Labels["severity"] {
		case "critical", "warning", "info":
		default:
			mistakes = append(mistakes, rule.Alert+" has no severity")
		}
		if !strings.HasSuffix(rule.Annotations["runbook_url"], "#"+strings.ToLower(rule.Alert)) {
			mistakes = append(mistakes, rule.Alert+": runbook_url does not point to its section")
		}
	}
	return mistakes, nil
}
