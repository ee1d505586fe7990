package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
)

// A counter may be read only as a rate or an increase.
var counter = regexp.MustCompile(`(rate|increase)?\(?\b(lanyard|process)_[a-z_]+_(total|bucket|count|sum)\b`)

// target is an expression of a panel.
type target struct {
	place, expression string
}

func readDashboard(text []byte) (*dashboard.Dashboard, error) {
	plugins.RegisterDefaultPlugins()
	strict, board := &dashboard.Dashboard{}, &dashboard.Dashboard{}
	if err := mistake(strict.UnmarshalJSONStrict(text)); err != nil {
		return nil, err
	}
	// The strict reader names every mistake and loses the panels.
	if err := json.Unmarshal(text, board); err != nil {
		return nil, err
	}
	return board, mistake(board.Validate())
}

// The reader returns an empty list as an error that is not nil.
func mistake(err error) error {
	var list cog.BuildErrors
	if errors.As(err, &list) && len(list) == 0 {
		return nil
	}
	return err
}

// lintDashboard holds a dashboard to rules after those of Grafana's dashboard-linter.
func lintDashboard(board *dashboard.Dashboard) (mistakes []string) {
	say := func(format string, arguments ...any) { mistakes = append(mistakes, fmt.Sprintf(format, arguments...)) }
	if board.Uid == nil || !strings.HasPrefix(*board.Uid, "lanyard-") {
		say("uid is not lanyard-…")
	}
	if board.Editable == nil || *board.Editable {
		say("editable is not false")
	}
	names := map[string]bool{}
	for _, variable := range board.Templating.List {
		names[variable.Name] = true
		if variable.Type == dashboard.VariableTypeQuery && !isVariable(variable.Datasource) {
			say("variable %s does not use ${datasource}", variable.Name)
		}
	}
	for _, name := range []string{"datasource", "namespace", "device"} {
		if !names[name] {
			say("there is no variable %s", name)
		}
	}
	if len(panels(board)) == 0 {
		say("there are no panels")
	}
	for _, panel := range panels(board) {
		lintPanel(panel, say)
	}
	return mistakes
}

func lintPanel(panel *dashboard.Panel, say func(string, ...any)) {
	title := text(panel.Title)
	if title == "" || text(panel.Description) == "" {
		say("panel %q has no title or no description", title)
	}
	if !isVariable(panel.Datasource) {
		say("panel %q does not use ${datasource}", title)
	}
	if panel.FieldConfig == nil || text(panel.FieldConfig.Defaults.Unit) == "" {
		say("panel %q has no unit", title)
	}
	if len(panel.Targets) == 0 {
		say("panel %q has no expression", title)
	}
	for _, one := range targets(panel) {
		for _, found := range regexp.MustCompile(`\[[^\]]+\]`).FindAllString(one.expression, -1) {
			if found != "[$__rate_interval]" && found != "[$__range]" {
				say("%s: the range %s is fixed", one.place, found)
			}
		}
		for _, found := range counter.FindAllStringSubmatch(one.expression, -1) {
			if found[1] == "" {
				say("%s: the counter %s is not read as a rate", one.place, found[0])
			}
		}
		if regexp.MustCompile(`\bjob\s*(=|!)`).MatchString(one.expression) {
			say("%s: a job is fixed", one.place)
		}
		if _, err := selectors(one.expression); err != nil {
			say("%s: %v", one.place, err)
		}
	}
}

func isVariable(source *dashboard.DataSourceRef) bool {
	return source != nil && text(source.Uid) == "${datasource}"
}

func text(value *string) string {
	if value == nil {
		return ""
	}
	return *value
}

// panels are all but the rows.
func panels(board *dashboard.Dashboard) (all []*dashboard.Panel) {
	for index := range board.Panels {
		if panel := board.Panels[index].Panel; panel != nil {
			all = append(all, panel)
		}
	}
	return all
}

func targets(panel *dashboard.Panel) (all []target) {
	for _, one := range panel.Targets {
		switch query := one.(type) {
		case *prometheus.Dataquery:
			all = append(all, target{place: fmt.Sprintf("panel %q", text(panel.Title)), expression: query.Expr})
		case prometheus.Dataquery:
			all = append(all, target{place: fmt.Sprintf("panel %q", text(panel.Title)), expression: query.Expr})
		}
	}
	return all
}
