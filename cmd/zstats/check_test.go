package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zstats/zstats/pkg/archive"
	"github.com/zstats/zstats/pkg/checker"
	"github.com/zstats/zstats/pkg/expo"
	"github.com/zstats/zstats/pkg/scrape"
)

// writeScrape writes the only scrape of a directory, notes it in a ledger, and returns the paths of both and of its metadata.
func writeScrape(t *testing.T) (dir, ledger, metadata string) {
	t.Helper()
	dir, ledger = t.TempDir(), filepath.Join(t.TempDir(), "ledger")
	schema := &scrape.Schema{Series: []scrape.Series{{Labels: []scrape.Label{{Name: scrape.MetricName, Value: "m"}}}}}
	st := &scrape.State{Scrape: scrape.Scrape{Generation: 7, Time: 1 << 60, Epoch: 1000, Schema: schema.Hash(), Values: []float64{1}}}
	target := scrape.Target{Account: "acme", Name: "h:1.j"}
	template := expo.NewTemplate(schema)
	data, _, err := template.AppendGzip(nil, &st.Scrape, new(expo.Compressor))
	if err != nil {
		t.Fatal(err)
	}
	p := archive.ScrapePaths(target, st.Epoch)
	if err := os.MkdirAll(filepath.Join(dir, p.Dir), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{p.Data: data, p.Metadata: archive.NewMetadata(target, st, template).Append(nil)} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file, err := checker.OpenLedger(ledger)
	if err != nil {
		t.Fatal(err)
	}
	notes := &collectorLedger{file: file}
	notes.Sent(target.Name, schema, &st.Scrape)
	notes.Answered(target.Name, st.Generation, 0)
	if err := file.Close(); err != nil || notes.failed {
		t.Fatal(err, notes.failed)
	}
	return dir, ledger, filepath.Join(dir, p.Metadata)
}

func TestCheck(t *testing.T) {
	dir, ledger, metadata := writeScrape(t)
	check := func(args ...string) (code int, out string) {
		t.Helper()
		cmd := checkCommand()
		var buf bytes.Buffer
		cmd.SetOut(&buf)
		cmd.SetArgs(args)
		cmd.SilenceErrors, cmd.SilenceUsage = true, true
		err := cmd.ExecuteContext(t.Context())
		exit, isExit := err.(*exitError)
		switch {
		case err == nil:
			return 0, buf.String()
		case isUsage(err):
			return 2, err.Error()
		case isExit:
			return exit.code, buf.String()
		}
		t.Fatal(err)
		return 0, ""
	}
	if code, out := check("--files", dir, "--ledger", ledger, "--account", "acme"); code != 0 || !strings.HasPrefix(out, "1 sent, 1 acknowledged, 1 written") {
		t.Errorf("a good scrape: %d, %s", code, out)
	}
	for _, args := range [][]string{
		{},
		{"--files", filepath.Join(dir, "nowhere")},
		{"--files", dir, "--ledger", ledger},
		{"--files", dir, "--timeout", "0s"},
		{"--files", dir, "--data-dir", dir, "--nats-url", "nats://127.0.0.1:1"},
		{"--files", dir, "--notifier", "nonsense"},
	} {
		if code, out := check(args...); code != 2 {
			t.Errorf("%q: %d, %s; want wrong usage", args, code, out)
		}
	}
	if err := os.Remove(metadata); err != nil {
		t.Fatal(err)
	}
	if code, out := check("--files", dir); code != 1 || !strings.Contains(out, "torn: acme/h:1.j") {
		t.Errorf("a torn scrape: %d, %s", code, out)
	}
	code, out := check("--files", dir, "--ledger", ledger, "--account", "acme", "--json")
	var report checkReport
	if err := json.Unmarshal([]byte(out), &report); err != nil || code != 1 {
		t.Fatalf("%d, %v: %s", code, err, out)
	}
	if report.OK || report.Acknowledged != 1 || len(report.Findings) != 2 || report.Findings[1].Kind != "lost" || report.Findings[1].Generation != 7 {
		t.Errorf("report %+v", report)
	}
}
