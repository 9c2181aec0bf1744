package web

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.yaml.in/yaml/v3"

	"farshore/agent/metrics"
)

var describedMetric = regexp.MustCompile(`fqName: "([^"]+)".*variableLabels: \{([^}]*)\}`)

// describedMetrics are the metrics of collectors, with the names of their labels.
func describedMetrics(of ...prometheus.Collector) map[string][]string {
	known := map[string][]string{}
	for _, c := range of {
		descs := make(chan *prometheus.Desc)
		go func() {
			c.Describe(descs)
			close(descs)
		}()
		for d := range descs {
			m := describedMetric.FindStringSubmatch(d.String())
			known[m[1]] = strings.FieldsFunc(m[2], func(r rune) bool { return r == ',' })
		}
	}
	return known
}

// allMetrics are those of a daemon's /metrics, and what Prometheus adds.
func allMetrics() map[string][]string {
	known := describedMetrics(new(metrics.Board), NewStatusCollector(metricsStatus), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	const histogram = "farshore_run_duration_seconds"
	known[histogram+"_bucket"] = append([]string{"le"}, known[histogram]...)
	known["up"] = nil
	return known
}

var (
	metricName  = regexp.MustCompile(`\b((?:farshore|go|process)_[a-z0-9_]+|up\b)(\{[^}]*\})?`)
	matcherName = regexp.MustCompile(`([a-z_]+)(?:=~|!=|!~|=)"`)
	grouping    = regexp.MustCompile(`\b(?:by|on|without|ignoring|group_left|group_right) \(([^)]*)\)`)
	legendName  = regexp.MustCompile(`\{\{\s*(?:\$labels\.)?([a-z_]+)\s*\}\}`)
	variable    = regexp.MustCompile(`\$([a-zA-Z_]+)|\$\{([a-zA-Z_]+)\}`)
)

// checkExpr holds an expression, and a text with labels of its result, to metrics and labels that there are.
func checkExpr(known map[string][]string, expr, text string) error {
	found := metricName.FindAllStringSubmatch(expr, -1)
	if len(found) == 0 || strings.Count(expr, "(") != strings.Count(expr, ")") {
		return fmt.Errorf("%q names no metric, or does not close what it opens", expr)
	}
	labels := []string{"instance", "job"} // of what is scraped
	for _, m := range found {
		of, ok := known[m[1]]
		if !ok {
			return fmt.Errorf("there is no metric %s", m[1])
		}
		for _, l := range matcherName.FindAllStringSubmatch(m[2], -1) {
			if !slices.Contains(append(of[:len(of):len(of)], "instance", "job"), l[1]) {
				return fmt.Errorf("%s has no label %s", m[1], l[1])
			}
		}
		labels = append(labels, of...)
	}
	used := legendName.FindAllStringSubmatch(text, -1)
	for _, g := range grouping.FindAllStringSubmatch(expr, -1) {
		for _, l := range strings.Split(g[1], ",") {
			used = append(used, []string{"", strings.TrimSpace(l)})
		}
	}
	for _, l := range used {
		if l[1] != "$value" && !slices.Contains(labels, l[1]) {
			return fmt.Errorf("%q and %q use the label %s, which none of its metrics has", expr, text, l[1])
		}
	}
	return nil
}

// TestCheckExpr holds what the two tests below hold documents with.
func TestCheckExpr(t *testing.T) {
	known := allMetrics()
	for expr, fine := range map[string]bool{
		`farshore_source_late{source=~"$source", instance="x"} == 1`:         true,
		`sum by (le, kind) (rate(farshore_run_duration_seconds_bucket[1d]))`: true,
		`up{job="farshore"} == 0`:                            true,
		`farshore_source_lates == 1`:                         false,
		`farshore_source_late{kind="pass"}`:                  false,
		`sum by (kind) (farshore_source_late)`:               false,
		`sum(farshore_source_late`:                           false,
		`farshore_job_running{job="pass shop", name="shop"}`: false,
		`1 + 1`: false,
	} {
		if err := checkExpr(known, expr, ""); (err == nil) != fine {
			t.Errorf("%s: %v", expr, err)
		}
	}
	if checkExpr(known, "farshore_source_late", "{{kind}}") == nil || checkExpr(known, "farshore_source_late", "{{ $labels.source }} {{ $value }}") != nil {
		t.Error("labels of a text")
	}
}

// TestAlerts holds the rules in the documents to metrics and labels that there are, and to what Prometheus takes.
func TestAlerts(t *testing.T) {
	data, err := os.ReadFile("../../../docs/prometheus-alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr, For    string
				Labels, Annotations map[string]string
			}
		}
	}
	in := yaml.NewDecoder(strings.NewReader(string(data)))
	in.KnownFields(true)
	if err := in.Decode(&file); err != nil || len(file.Groups) != 2 {
		t.Fatalf("%v: %+v", err, file)
	}
	known, seen := allMetrics(), map[string]bool{}
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			if err := checkExpr(known, r.Expr, r.Annotations["summary"]); err != nil {
				t.Errorf("%s: %v", r.Alert, err)
			}
			if _, err := time.ParseDuration(r.For + "0s"); err != nil || seen[r.Alert] || !slices.Contains([]string{"critical", "warning"}, r.Labels["severity"]) || r.Annotations["summary"] == "" {
				t.Errorf("%+v", r)
			}
			seen[r.Alert] = true
			// What only a daemon has must not fire where there is none.
			if daemons := strings.Contains(r.Expr, "absent(up") || strings.HasPrefix(r.Expr, "up{"); daemons && g.Name == "farshore" {
				t.Errorf("%s fires where no daemon is scraped", r.Alert)
			}
		}
	}
	for _, name := range []string{"FarshoreSnapshotOld", "FarshoreSourceLate", "FarshoreDaemonDown", "FarshoreConfigRefused", "FarshoreRunStuck", "FarshoreSourceFailing", "FarshoreProofExpires", "FarshoreNotAppendOnly"} {
		if !seen[name] {
			t.Errorf("%s is missing", name)
		}
	}
}

// dashboard is what this test reads of one of Grafana's.
type dashboard struct {
	ID            *int
	UID, Title    string
	SchemaVersion int
	Inputs        []any `json:"__inputs"`
	Templating    struct {
		List []struct {
			Name, Type string
			Query      any
		}
	}
	Panels []struct {
		ID          int
		Type, Title string
		Datasource  struct{ UID string }
		GridPos     struct{ H, W, X, Y int }
		Targets     []struct {
			RefID, Expr, LegendFormat string
			Datasource                struct{ UID string }
		}
	}
}

// TestDashboard holds the dashboard in the documents to metrics, labels and variables that there are, to panels that every Grafana has, and to a grid in which nothing lies over another.
func TestDashboard(t *testing.T) {
	data, err := os.ReadFile("../../../docs/grafana-dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var d dashboard
	if err := json.Unmarshal(data, &d); err != nil || d.ID != nil || d.UID == "" || d.Title == "" || d.SchemaVersion < 39 || d.Inputs != nil {
		t.Fatalf("%v: %+v", err, d)
	}
	known, variables := allMetrics(), []string{"__rate_interval"}
	for _, v := range d.Templating.List {
		variables = append(variables, v.Name)
		if q, ok := v.Query.(map[string]any); v.Type == "query" {
			if expr, _ := q["query"].(string); !ok || checkExpr(known, expr, "") != nil {
				t.Errorf("variable %s: %v", v.Name, checkExpr(known, expr, ""))
			}
		}
	}
	ids, taken, rows := map[int]bool{}, map[[2]int]string{}, 0
	for _, p := range d.Panels {
		if p.ID == 0 || ids[p.ID] || p.Title == "" || !slices.Contains([]string{"row", "stat", "bargauge", "timeseries", "state-timeline"}, p.Type) {
			t.Errorf("panel %d %q, a %s", p.ID, p.Title, p.Type)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
					t.Errorf("%q lies over %q, or beyond the edge", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			rows++
			continue
		}
		refs := map[string]bool{}
		for _, q := range p.Targets {
			if err := checkExpr(known, q.Expr, q.LegendFormat); err != nil {
				t.Errorf("%q: %v", p.Title, err)
			}
			if refs[q.RefID] || q.RefID == "" || q.Datasource.UID != "${datasource}" || p.Datasource.UID != "${datasource}" || !strings.Contains(q.Expr, `instance=~"$instance"`) {
				t.Errorf("%q: %+v", p.Title, q)
			}
			refs[q.RefID] = true
		}
		if len(p.Targets) == 0 {
			t.Errorf("%q shows nothing", p.Title)
		}
	}
	for _, v := range variable.FindAllStringSubmatch(string(data), -1) {
		if name := v[1] + v[2]; name != "__all" && !slices.Contains(variables, name) {
			t.Errorf("there is no variable %s", name)
		}
	}
	if rows < 5 || !slices.Contains(variables, "source") || !slices.Contains(variables, "datasource") {
		t.Errorf("%d rows, variables %v", rows, variables)
	}
}
