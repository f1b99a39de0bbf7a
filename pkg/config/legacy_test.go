package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// sample has every key of the older server's sample file.
const sample = `# The older server's configuration.
{
  "stats.enabled": 1,
  "stats.https_enabled": 0,
  # the port
  "stats.http_port": 9905,
  "stats.stingest_host": "localhost",
  "stats.stingest_port": 5300,
  "stats.stingest_timeout": 360,
  "stats.keep_tmp_files": 0,
  "stats.reqs_max": 16,
  "stats.reqs_dir": "/var/lib/st#ats",
  "stats.serializer_qd": 10,
  "zvcacher.drop_after_secs_lw": 600,
  "zvcacher.drop_after_secs_hw": 120,
  "zvcacher.cache_entries_low_wmark": 10000,
  "zvcacher.cache_entries_high_wmark": 50000,
  "zvcacher.cache_bkts": 10000,
  "bridger.notify_stingest": 0,
  "bridger.stingests_qd": 512
}
`

func TestLegacySample(t *testing.T) {
	entries, notes, err := parseLegacy([]byte(sample), environment(nil))
	want := []entry{{"ingest.addr", []string{":9905"}, 6}, {"files-dir", []string{"/var/lib/st#ats"}, 12}}
	if diff := cmp.Diff(want, entries, cmp.AllowUnexported(entry{})); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	var keys []string
	for _, n := range notes {
		keys = append(keys, n.Place+" "+n.Key)
	}
	wantKeys := []string{
		"10 stats.keep_tmp_files", "11 stats.reqs_max", "13 stats.serializer_qd", "14 zvcacher.drop_after_secs_lw",
		"15 zvcacher.drop_after_secs_hw", "16 zvcacher.cache_entries_low_wmark", "17 zvcacher.cache_entries_high_wmark",
		"18 zvcacher.cache_bkts",
	}
	if diff := cmp.Diff(wantKeys, keys); diff != "" {
		t.Errorf("what is no longer needed:\n%s", diff)
	}
}

func TestLegacyEverythingOn(t *testing.T) {
	text := strings.NewReplacer(`notify_stingest": 0`, `notify_stingest": 1`, `https_enabled": 0`, `https_enabled": 1`).Replace(sample)
	entries, _, err := parseLegacy([]byte(text), environment(map[string]string{"PEMFILE": "/etc/both.pem"}))
	want := []entry{
		{"ingest.tls-cert", []string{"/etc/both.pem"}, 4},
		{"ingest.tls-key", []string{"/etc/both.pem"}, 4},
		{"ingest.addr", []string{":9905"}, 6},
		{"files-dir", []string{"/var/lib/st#ats"}, 12},
		{"notifier.push.address", []string{"localhost:5300"}, 19},
		{"notifier.push.timeout", []string{"360s"}, 19},
		{"notifier.push.concurrency", []string{"512"}, 19},
	}
	if diff := cmp.Diff(want, entries, cmp.AllowUnexported(entry{})); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

func TestLegacyNested(t *testing.T) {
	entries, _, err := parseLegacy([]byte(`{"stats": {"http_port": 80, "enabled": true}}`), environment(nil))
	want := []entry{{"ingest.addr", []string{":80"}, 1}}
	if diff := cmp.Diff(want, entries, cmp.AllowUnexported(entry{})); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

func TestLegacyRefuses(t *testing.T) {
	for _, tt := range []struct{ name, text, says string }{
		{"unknown key", "{\n\"stats.http_prt\": 1}", `2: the older server had no key "stats.http_prt"`},
		{"no port", `{"stats.http_port": "x"}`, `1: stats.http_port: "x" is no port`},
		{"port out of range", `{"stats.http_port": 70000}`, "no port"},
		{"switched off", `{"stats.enabled": 0}`, "switches the server off"},
		{"HTTPS without a certificate", `{"stats.https_enabled": 1}`, "PEMFILE"},
		{"neither on nor off", `{"stats.enabled": 2}`, "neither 0 nor 1"},
		{"notify nobody", "{\n\n\"bridger.notify_stingest\": 1}", "3: bridger.notify_stingest is on"},
		{"no number", `{"stats.stingest_timeout": 1.5}`, "whole number"},
		{"twice", "{\"stats.enabled\": 1,\n\"stats.enabled\": 1}", "2: stats.enabled is set in line 1"},
		{"a list", `{"stats.enabled": [1]}`, "a list is no value"},
		{"null", `{"stats.enabled": null}`, "has no value"},
		{"no object", `[]`, "want a JSON object"},
		{"cut off", `{"stats.enabled": 1`, "1: "},
		{"more behind it", `{} {}`, "behind the object"},
		{"no JSON", `{stats}`, "1: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := parseLegacy([]byte(tt.text), environment(nil))
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %v, want one that says %q", err, tt.says)
			}
		})
	}
}

// The older file gives way to everything else.
func TestResolveLegacy(t *testing.T) {
	file := write(t, sample)
	flags := flagSet()
	flags.String("files-dir", "", "")
	got, err := Resolve(flags, Sources{Getenv: environment(map[string]string{LegacyVariable: file, "ZSTATS_INGEST_ADDR": "here:1"})})
	if err != nil {
		t.Fatal(err)
	}
	byName := make(map[string]Setting)
	for _, s := range got.All {
		byName[s.Name] = s
	}
	if s := byName["ingest.addr"]; s.Value != "here:1" {
		t.Errorf("ingest.addr is %+v", s)
	}
	if s := byName["files-dir"]; s.Value != "/var/lib/st#ats" || s.Source != file+":12" {
		t.Errorf("files-dir is %+v", s)
	}
	if len(got.Notes) != 8 || !strings.HasPrefix(got.Notes[0].Place, file+":") {
		t.Errorf("notes %+v", got.Notes)
	}
}

func FuzzParseLegacy(f *testing.F) {
	f.Add([]byte(sample))
	f.Add([]byte(`{"stats": {"enabled": 1}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, _, err := parseLegacy(data, environment(nil))
		if err != nil {
			return
		}
		for _, e := range entries {
			if e.name == "" || e.line < 1 || len(e.values) != 1 {
				t.Errorf("entry %+v", e)
			}
		}
	})
}
