// Package deploy checks what is in this directory against the program: settings, metrics, units, manifests.
package deploy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/template"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/zstats/zstats/pkg/event/eventpb"
	"github.com/zstats/zstats/test/harness"
	"github.com/zstats/zstats/test/judge"
)

// rules is a file of alert rules.
type rules struct {
	Groups []struct {
		Name  string
		Rules []struct {
			Alert       string
			Expr        string
			For         string
			Labels      map[string]string
			Annotations map[string]string
		}
	}
}

func readRules(t *testing.T) (r rules) {
	t.Helper()
	strictYAML(t, "prometheus/zstats.rules.yaml", &r)
	return r
}

// strictYAML decodes a file that may have nothing that its structure doesn't have.
func strictYAML(t *testing.T, path string, into any) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	if err := d.Decode(into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// TestMetrics checks alerts and dashboard against what a process really exports.
func TestMetrics(t *testing.T) {
	known := metrics(t)
	t.Run("alerts", func(t *testing.T) { checkAlerts(t, known) })
	t.Run("dashboard", func(t *testing.T) { checkDashboard(t, known) })
}

func checkAlerts(t *testing.T, known map[string]*dto.MetricFamily) {
	docs, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	names := make(map[string]bool)
	for _, g := range readRules(t).Groups {
		for _, r := range g.Rules {
			if r.Alert == "" || names[r.Alert] {
				t.Errorf("alert %q has no name of its own", r.Alert)
			}
			names[r.Alert] = true
			if r.For != "" {
				if _, err := model.ParseDuration(r.For); err != nil {
					t.Errorf("%s: for: %v", r.Alert, err)
				}
			}
			if !slices.Contains([]string{"critical", "warning", "info"}, r.Labels["severity"]) {
				t.Errorf("%s: severity %q", r.Alert, r.Labels["severity"])
			}
			checkTemplate(t, r.Alert, r.Annotations["summary"])
			checkExpression(t, known, r.Alert, r.Expr)
			if !bytes.Contains(docs, []byte("`"+r.Alert+"`")) {
				t.Errorf("%s: docs/operations.md doesn't say what to do", r.Alert)
			}
		}
	}
	if len(names) < 10 {
		t.Errorf("%d alerts", len(names))
	}
}

func checkTemplate(t *testing.T, where, text string) {
	t.Helper()
	nothing := func(any) string { return "" }
	funcs := template.FuncMap{"humanizeDuration": nothing, "humanizePercentage": nothing, "humanize1024": nothing}
	_, err := template.New("").Funcs(funcs).Parse("{{ $labels := . }}{{ $value := . }}" + text)
	if text == "" || err != nil {
		t.Errorf("%s: summary %q: %v", where, text, err)
	}
}

func checkDashboard(t *testing.T, known map[string]*dto.MetricFamily) {
	data, err := os.ReadFile("grafana/zstats.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		UID, Title string
		Panels     []struct {
			ID      int
			Type    string
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(data, &dashboard); err != nil {
		t.Fatal(err)
	}
	ids, expressions := make(map[int]bool), 0
	for _, p := range dashboard.Panels {
		if ids[p.ID] || p.Title == "" || p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("panel %d %q: its number is another's, or it has no title or shows nothing", p.ID, p.Title)
		}
		ids[p.ID] = true
		for _, target := range p.Targets {
			expressions++
			filled := strings.NewReplacer("$__rate_interval", "1m", "$service", ".*").Replace(target.Expr)
			checkExpression(t, known, p.Title, filled)
		}
	}
	if dashboard.Title == "" || dashboard.UID == "" || expressions < 20 {
		t.Errorf("dashboard %q, %q with %d expressions", dashboard.UID, dashboard.Title, expressions)
	}
}

// checkExpression refuses an expression that asks for a metric that zstats doesn't export, or for labels that the metric doesn't have.
func checkExpression(t *testing.T, known map[string]*dto.MetricFamily, where, text string) {
	t.Helper()
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(text)
	if err != nil {
		t.Errorf("%s: %s: %v", where, text, err)
		return
	}
	parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
		selector, ok := n.(*parser.VectorSelector)
		if !ok || selector.Name == "up" || strings.HasPrefix(selector.Name, "node_") {
			return nil
		}
		family := familyOf(known, selector.Name)
		if family == nil {
			t.Errorf("%s: zstats has no metric %s", where, selector.Name)
			return nil
		}
		for _, m := range selector.LabelMatchers {
			checkMatcher(t, where, family, m)
		}
		return nil
	})
}

// familyOf returns the metric of a name, which may be that of a part of a histogram.
func familyOf(known map[string]*dto.MetricFamily, name string) *dto.MetricFamily {
	if f := known[name]; f != nil {
		return f
	}
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		if f := known[strings.TrimSuffix(name, suffix)]; f != nil && f.GetType() == dto.MetricType_HISTOGRAM {
			return f
		}
	}
	return nil
}

// checkMatcher refuses a matcher that matches nothing of what zstats exports.
func checkMatcher(t *testing.T, where string, family *dto.MetricFamily, m *labels.Matcher) {
	t.Helper()
	if slices.Contains([]string{"__name__", "job", "instance", "service"}, m.Name) {
		return
	}
	for _, metric := range family.Metric {
		for _, l := range metric.Label {
			if l.GetName() == m.Name && m.Matches(l.GetValue()) {
				return
			}
		}
	}
	t.Errorf("%s: no %s has %s", where, family.GetName(), m)
}

// metrics returns what `zstats run` exports, which has every service and a collector.
func metrics(t *testing.T) map[string]*dto.MetricFamily {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	binary, err := harness.Build(ctx, t.TempDir(), "../cmd/zstats")
	if err != nil {
		t.Fatal(err)
	}
	z, err := harness.StartZstats(ctx, binary, filepath.Join(t.TempDir(), "data"), "--collect-self.interval", "1s",
		"--notifier.push.address", "127.0.0.1:1") // nobody is there: the metrics are
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(z.Kill)
	makePosition(t, z.NotifierAddr)
	text := ""
	err = judge.Await(ctx, time.Minute, "what is measured now and then is there", func() (err error) {
		text, err = z.Metrics(ctx)
		for _, name := range []string{"zstats_stage_partition_lag_seconds{", "zstats_position_lag_seconds{"} {
			if err == nil && !strings.Contains(text, name) {
				err = errors.New("no " + name)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	p := expfmt.NewTextParser(model.UTF8Validation)
	all, err := p.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// makePosition makes a named position, so that there are metrics of one.
func makePosition(t *testing.T, addr string) {
	t.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	s, err := eventpb.NewNotifierClient(conn).Consume(t.Context())
	if err == nil {
		open := &eventpb.ConsumeRequest_Open{Open: &eventpb.OpenPosition{Name: "metrics"}}
		err = s.Send(&eventpb.ConsumeRequest{Message: open})
	}
	if err == nil {
		_, err = s.Recv()
	}
	if err != nil {
		t.Fatal(err)
	}
}
