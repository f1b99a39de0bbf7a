package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
)

// flagSet has one setting of each shape.
func flagSet() *pflag.FlagSet {
	f := pflag.NewFlagSet("test", pflag.ContinueOnError)
	f.String("config", "", "")
	f.String("ingest.addr", "here", "")
	f.Duration("ingest.head-limit", time.Hour, "")
	f.StringArray("account", nil, "")
	_ = f.SetAnnotation("account", SecretAnnotation, []string{"yes"})
	f.String("legacy-config", "", "")
	f.Bool("collect-self", true, "")
	f.Duration("collect-self.interval", time.Second, "")
	return f
}

func write(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "zstats.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func environment(vars map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) { v, ok := vars[name]; return v, ok }
}

func TestResolve(t *testing.T) {
	file := write(t, `# comment
ingest:
  addr: from-file
  head-limit: 3h
account:
  - a:one
  - b:two
collect-self: false
collect-self.interval: 7s
notifier.addr: another's
`)
	flags := flagSet()
	if err := flags.Parse([]string{"--config", file, "--ingest.addr", "from-flag"}); err != nil {
		t.Fatal(err)
	}
	got, err := Resolve(flags, Sources{
		Getenv: environment(map[string]string{"ZSTATS_INGEST_HEAD_LIMIT": "2h", "ZSTATS_INGEST_ADDR": "from-env", "ZSTATS_INGEST_PORT": "tcp://x"}),
		Known:  func(name string) bool { return name == "notifier.addr" },
	})
	want := []Setting{
		{"account", "[a:one,b:two]", file + ":5", true},
		{"collect-self", "false", file + ":8", false},
		{"collect-self.interval", "7s", file + ":9", false},
		{"config", file, "flag", false},
		{"ingest.addr", "from-flag", "flag", false},
		{"ingest.head-limit", "2h0m0s", "ZSTATS_INGEST_HEAD_LIMIT", false},
		{"legacy-config", "", "default", false},
	}
	if diff := cmp.Diff(&Settings{All: want}, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

func TestResolveEnvironmentAlone(t *testing.T) {
	flags := flagSet()
	file := write(t, "ingest.addr: x\n")
	_, err := Resolve(flags, Sources{Getenv: environment(map[string]string{"ZSTATS_ACCOUNT": " a:one\n b:two ", "ZSTATS_CONFIG": file})})
	if err != nil {
		t.Fatal(err)
	}
	accounts, _ := flags.GetStringArray("account")
	addr, _ := flags.GetString("ingest.addr")
	if diff := cmp.Diff([]string{"a:one", "b:two"}, accounts); diff != "" || addr != "x" {
		t.Errorf("address %q, accounts:\n%s", addr, diff)
	}
}

func TestResolveRefuses(t *testing.T) {
	for _, tt := range []struct{ name, text, says string }{
		{"unknown name", "\ningest:\n  adr: x\n", `:3: there is no setting "ingest.adr"`},
		{"bad value", "ingest.head-limit: soon\n", ":1: ingest.head-limit: "},
		{"twice", "ingest.addr: a\ningest:\n  addr: b\n", ":3: ingest.addr is set in line 1 already"},
		{"list for one", "ingest.addr: [a, b]\n", "takes one value"},
		{"no value", "ingest.addr:\n", "has no value"},
		{"nested list", "account: [[a]]\n", "list of values"},
		{"a file in a file", "config: other.yaml\n", "can't be set in a file"},
		{"not a mapping", "- a\n", "NAME: VALUE"},
		{"not YAML", "a: b: c\n", "mapping values"},
		{"alias", "ingest.addr: &x a\naccount: *x\n", "aliases"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			flags := flagSet()
			file := write(t, tt.text)
			if err := flags.Set("config", file); err != nil {
				t.Fatal(err)
			}
			_, err := Resolve(flags, Sources{Getenv: environment(nil)})
			if err == nil || !strings.Contains(err.Error(), tt.says) || !strings.HasPrefix(err.Error(), file+":") {
				t.Errorf("error %v, want one that begins with the file and says %q", err, tt.says)
			}
		})
	}
}

func TestResolveNoFile(t *testing.T) {
	flags := flagSet()
	_, err := Resolve(flags, Sources{Getenv: environment(map[string]string{"ZSTATS_CONFIG": "/nowhere/zstats.yaml"})})
	if err == nil || !strings.Contains(err.Error(), "configuration file") {
		t.Errorf("error %v", err)
	}
}

// Bad values of the environment name the variable, and never show a value, which may be a secret.
func TestResolveBadEnvironment(t *testing.T) {
	_, err := Resolve(flagSet(), Sources{Getenv: environment(map[string]string{"ZSTATS_COLLECT_SELF": "perhaps"})})
	if err == nil || !strings.HasPrefix(err.Error(), "ZSTATS_COLLECT_SELF: collect-self: ") {
		t.Errorf("error %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("a:\n  b: [c, d]\n"))
	f.Add([]byte("a: &x {b: *x}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, err := parse(data)
		if err != nil {
			return
		}
		seen := make(map[string]bool)
		for _, e := range entries {
			if e.name == "" || seen[e.name] || e.line < 1 {
				t.Errorf("entry %+v", e)
			}
			seen[e.name] = true
		}
	})
}
