package collector

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/zstats/zstats/pkg/scrape"
)

func valid() Options {
	return Options{
		Server:  "http://localhost:9905",
		Token:   testToken,
		Targets: []Target{{Job: "node", URL: "http://localhost:9100/metrics"}},
	}
}

func TestOptions(t *testing.T) {
	for _, tc := range []struct {
		name  string
		spoil func(*Options)
		want  string // part of the error
	}{
		{"no server", func(o *Options) { o.Server = "" }, "server"},
		{"server without a scheme", func(o *Options) { o.Server = "localhost:9905" }, "http://HOST:PORT"},
		{"server of another scheme", func(o *Options) { o.Server = "ftp://localhost" }, "http://HOST:PORT"},
		{"no token", func(o *Options) { o.Token = "" }, "no token"},
		{"token with a line break", func(o *Options) { o.Token = "a\nb" }, "blank"},
		{"token beyond ASCII", func(o *Options) { o.Token = "schlüssel" }, "ASCII"},
		{"no targets", func(o *Options) { o.Targets = nil }, "no targets"},
		{"no job", func(o *Options) { o.Targets[0].Job = "" }, "no job"},
		{"bad URL", func(o *Options) { o.Targets[0].URL = "http://a:b:c" }, "node"},
		{"target twice", func(o *Options) { o.Targets = append(o.Targets, o.Targets[0]) }, `"localhost:9100.node" is given twice`},
		{"target twice by its port", func(o *Options) {
			o.Targets = []Target{{Job: "a", URL: "http://h/x"}, {Job: "a", URL: "http://h:80/y"}}
		}, "twice"},
		{"target twice by its name", func(o *Options) {
			o.Targets = append(o.Targets, Target{Job: "node", URL: "http://elsewhere", Instance: "localhost:9100"})
		}, "twice"},
		{"control character", func(o *Options) { o.Targets[0].Job = "a\tb" }, "control"},
		{"not UTF-8", func(o *Options) { o.Targets[0].Job = "a\xff" }, "UTF-8"},
		{"long name", func(o *Options) { o.Targets[0].Job = strings.Repeat("a", 1024) }, "1024"},
		{"timeout", func(o *Options) { o.Timeout = 16 * time.Second }, "longer than the interval"},
		{"negative", func(o *Options) { o.Flush = -1 }, "Flush"},
		{"batch", func(o *Options) { o.Batch = 5000 }, "batch"},
		{"label without a name", func(o *Options) { o.Labels = []scrape.Label{{Value: "x"}} }, "no name"},
		{"label job", func(o *Options) { o.Labels = []scrape.Label{{Name: "job", Value: "x"}} }, `"job"`},
		{"label twice", func(o *Options) { o.Labels = []scrape.Label{{Name: "a", Value: "x"}, {Name: "a", Value: "y"}} }, `"a"`},
		{"label not UTF-8", func(o *Options) { o.Labels = []scrape.Label{{Name: "a", Value: "\xff"}} }, "UTF-8"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := valid()
			tc.spoil(&o)
			if _, err := New(o); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("the error is %v, and has no %q", err, tc.want)
			}
		})
	}
	if _, err := New(valid()); err != nil {
		t.Error(err)
	}
}

// An error about a URL shows no password.
func TestErrorsShowNoPassword(t *testing.T) {
	for _, url := range []string{"ftp://user:hunter2@h", "http://user:hunter2@h:port/", "http://user:hunter2@%zz/"} {
		o := valid()
		o.Targets[0].URL = url
		if _, err := New(o); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func TestMetricsTwice(t *testing.T) {
	o := valid()
	o.Registerer = prometheus.NewRegistry()
	if _, err := New(o); err != nil {
		t.Fatal(err)
	}
	if _, err := New(o); err == nil {
		t.Error("two collectors share a registry")
	}
}

func TestNamesOfTargets(t *testing.T) {
	for _, tc := range []struct {
		target    Target
		name, url string
	}{
		{Target{Job: "j", URL: "http://h:1/m"}, "h:1.j", "http://h:1/m"},
		{Target{Job: "j", URL: "http://h"}, "h:80.j", "http://h/metrics"},
		{Target{Job: "j", URL: "https://h/"}, "h:443.j", "https://h/"},
		{Target{Job: "j", URL: "http://[::1]:9100"}, "[::1]:9100.j", "http://[::1]:9100/metrics"},
		{Target{Job: "j", URL: "http://[::1]/m"}, "[::1]:80.j", "http://[::1]/m"},
		{Target{Job: "j", URL: "http://h/probe?target=x", Instance: "https://x/y"}, "https://x/y.j", "http://h/probe?target=x"},
	} {
		o := valid()
		o.Targets = []Target{tc.target}
		c, err := New(o)
		if err != nil {
			t.Error(err)
			continue
		}
		if s := c.scrapers[0]; s.name != tc.name || s.url != tc.url {
			t.Errorf("%+v is %q at %q", tc.target, s.name, s.url)
		}
	}
}

func TestParseServer(t *testing.T) {
	got := make(map[string]string)
	want := map[string]string{
		"http://h:1":           "http://h:1/api/v1/zstats",
		"http://h:1/":          "http://h:1/api/v1/zstats",
		"https://h/api/x?y=z":  "https://h/api/x?y=z",
		"https://u:p@h/zstats": "https://u:p@h/zstats",
	}
	for raw := range want {
		url, err := parseServer(raw)
		if err != nil {
			t.Error(err)
		}
		got[raw] = url
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestDefaults(t *testing.T) {
	o := Options{Interval: 3 * time.Second, Batch: 7}.withDefaults()
	if o.Timeout != 3*time.Second || o.Batch != 7 || o.Flush != 5*time.Second || o.Logger == nil {
		t.Errorf("options are %+v", o)
	}
}
