package archive

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math/rand"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zstats/zstats/pkg/scrape"
)

func TestTargetDir(t *testing.T) {
	long := strings.Repeat("x", 181)
	for _, c := range []struct {
		name   string
		target scrape.Target
		want   string
	}{
		{"as the older server", scrape.Target{Account: "Zebrium", Name: "192.168.120.51:9100.prometheus"}, "Zebrium/192.168.120.51_9100.prometheus"},
		{"source", scrape.Target{Account: "acme", Source: "eu-1", Name: "h:1.j"}, "acme/@eu-1/h_1.j"},
		{"literal _ before the colon", scrape.Target{Account: "a_b", Name: "my_host:1.my_job"}, "a_b/my%5Fhost_1.my_job"},
		{"literal _ without a colon", scrape.Target{Account: "a", Name: "h_1.j"}, "a/h%5F1.j"},
		{"more colons", scrape.Target{Account: "a:b", Source: "c:d", Name: "[::1]:9100.j"}, "a%3Ab/@c%3Ad/[_%3A1]%3A9100.j"},
		{"a URL", scrape.Target{Account: "a", Name: "https://example.com/a/b.blackbox"}, "a/https_%2F%2Fexample.com%2Fa%2Fb.blackbox"},
		{"upwards", scrape.Target{Account: "..", Source: "..", Name: "../../etc"}, "%2E%2E/@%2E%2E/%2E.%2F..%2Fetc"},
		{"a target that looks like a source", scrape.Target{Account: "@a", Source: "@b", Name: "@c"}, "%40a/@%40b/%40c"},
		{"a target that looks like the temporary directory", scrape.Target{Account: ".tmp", Name: ".tmp"}, "%2Etmp/%2Etmp"},
		{"blanks and dots at the ends", scrape.Target{Account: " a ", Name: "a. "}, "%20a%20/a.%20"},
		{"dots within", scrape.Target{Account: "a.b", Name: "a b.c"}, "a.b/a b.c"},
		{"one dot", scrape.Target{Account: ".", Name: " "}, "%2E/%20"},
		{"percent", scrape.Target{Account: "50%", Name: "%2F"}, "50%25/%252F"},
		{"refused by some file systems", scrape.Target{Account: `a*?"<>|\~`, Name: "\x00\n\x7f"}, "a%2A%3F%22%3C%3E%7C%5C%7E/%00%0A%7F"},
		{"not ASCII", scrape.Target{Account: "ü", Name: "u\u0308\xff"}, "%C3%BC/u%CC%88%FF"},
		{"devices", scrape.Target{Account: "nul", Source: "COM1.x", Name: "console"}, "%6Eul/@%43OM1.x/console"},
		{"almost devices", scrape.Target{Account: "com", Source: "comx", Name: "lpt10"}, "com/@comx/lpt10"},
		{"letters that change their length with their case", scrape.Target{Account: "ıa", Name: "comı"}, "%C4%B1a/com%C4%B1"},
		{"empty", scrape.Target{}, "%/%"},
		{"longest", scrape.Target{Account: long[:180], Name: "a"}, long[:180] + "/a"},
		{"too long", scrape.Target{Account: "a", Name: long},
			"a/" + long[:115] + "~dc31ed5afb940294fdd687c69bbba2aecc51b6093425c0047f6fa6c687303924"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := TargetDir(c.target)
			if got != c.want {
				t.Errorf("TargetDir = %q, want %q", got, c.want)
			}
			checkTargetDir(t, c.target)
		})
	}
}

// checkTargetDir checks what holds for the directory of any target.
func checkTargetDir(t *testing.T, target scrape.Target) {
	t.Helper()
	dir := TargetDir(target)
	if !fs.ValidPath(dir) {
		t.Fatalf("%q of %q is no valid path", dir, target)
	}
	parts := strings.Split(dir, "/")
	if want := 2 + min(len(target.Source), 1); len(parts) != want {
		t.Fatalf("%q of %q has %d parts, want %d", dir, target, len(parts), want)
	}
	for i, part := range parts {
		name := part
		if i == 1 && target.Source != "" {
			name = strings.TrimPrefix(part, "@")
		}
		checkName(t, name)
	}
	back, err := ParseTargetDir(dir)
	hashed := strings.Contains(dir, "~")
	switch {
	case hashed && !errors.Is(err, ErrHashed):
		t.Fatalf("error of ParseTargetDir(%q) is %v, want ErrHashed", dir, err)
	case !hashed && (err != nil || back != target):
		t.Fatalf("ParseTargetDir(%q) = %q, %v, want %q", dir, back, err, target)
	}
}

// checkName checks that an escaped name suits every file system that tells upper from lower case.
func checkName(t *testing.T, name string) {
	t.Helper()
	switch {
	case name == "" || len(name) > maxName:
		t.Fatalf("name %q has %d bytes", name, len(name))
	case strings.ContainsAny(name, "/\\:*?\"<>|\x7f"):
		t.Fatalf("name %q has a reserved character", name)
	case strings.ContainsAny(name[:1], "@. ") || strings.ContainsAny(name[len(name)-1:], ". "):
		t.Fatalf("name %q begins or ends badly", name)
	case isDevice(name):
		t.Fatalf("name %q is a device", name)
	}
	for i := range len(name) {
		if name[i] < ' ' || name[i] >= 0x80 {
			t.Fatalf("name %q has byte %#x", name, name[i])
		}
	}
	if prefix, hash, found := strings.Cut(name, "~"); found {
		if _, err := hex.DecodeString(hash); err != nil || len(hash) != 64 || len(prefix) > maxPrefix {
			t.Fatalf("name %q has no proper hash", name)
		}
		if _, err := unescape(prefix); err != nil {
			t.Fatalf("prefix of %q is cut within an escape: %v", name, err)
		}
	}
}

// TestHashedName pins the hash of a long name: it is part of the layout.
func TestHashedName(t *testing.T) {
	name := strings.Repeat("ü", 40) + ":1." + strings.Repeat("j", 80)
	const want = "a/%C3%BC%C3%BC%C3%BC%C3%BC%C3%BC%C3%BC%C3%BC%C3%BC%C3%BC%C3%BC%C3%BC%C3%BC%C3%BC%C3%BC%C3%BC%C3%BC%C3%BC%C3%BC%C3%BC~" +
		"26072732427516688260c037392888e7f4f44a41fc41e1fcc5bf3b2eb21f1227"
	got := TargetDir(scrape.Target{Account: "a", Name: name})
	if got != want {
		t.Errorf("TargetDir = %q, want %q", got, want)
	}
	checkTargetDir(t, scrape.Target{Account: "a", Name: name})
}

func randomName(r *rand.Rand) string {
	const alphabet = "aA_:.@%~/ \\5F\x00\xff"
	if r.Intn(10) == 0 {
		return []string{"con", "NUL.x", "lpt1", "ıa", "%5F", "a%5Fb", "@", "..", "~"}[r.Intn(9)]
	}
	b := make([]byte, r.Intn(6))
	for i := range b {
		b[i] = alphabet[r.Intn(len(alphabet))]
	}
	if r.Intn(20) == 0 {
		return string(b) + strings.Repeat("_:", 50+r.Intn(60)) + string(b)
	}
	return string(b)
}

func TestTargetDirProperty(t *testing.T) {
	seed := rand.Int63()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewSource(seed))
	seen := map[string]scrape.Target{}
	for range 50_000 {
		target := scrape.Target{Account: randomName(r), Name: randomName(r)}
		if r.Intn(2) == 0 {
			target.Source = randomName(r)
		}
		checkTargetDir(t, target)
		dir := TargetDir(target)
		if other, ok := seen[dir]; ok && other != target {
			t.Fatalf("%q and %q share %q", other, target, dir)
		}
		seen[dir] = target
	}
}

func FuzzTargetDir(f *testing.F) {
	f.Add("a", "", "h:1.j", "a", "", "h_1.j")
	f.Add("a", "b", "c", "a", "", "@b/c")
	f.Add("a", "", strings.Repeat("é", 100), "a", "", strings.Repeat("_", 200))
	f.Fuzz(func(t *testing.T, account, source, name, account2, source2, name2 string) {
		a, b := scrape.Target{Account: account, Source: source, Name: name}, scrape.Target{Account: account2, Source: source2, Name: name2}
		checkTargetDir(t, a)
		checkTargetDir(t, b)
		if a != b && TargetDir(a) == TargetDir(b) {
			t.Errorf("%q and %q share %q", a, b, TargetDir(a))
		}
	})
}

// FuzzParseTargetDir checks that a directory which parses is the directory of what it gives.
func FuzzParseTargetDir(f *testing.F) {
	for _, s := range []string{"a/b_c", "a/@b/c", "%/%", "a/%5f", "a/@/b", "a//b", "a/%", "a/b%4"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, dir string) {
		if target, err := ParseTargetDir(dir); err == nil && TargetDir(target) != dir {
			t.Errorf("ParseTargetDir(%q) = %q, which belongs in %q", dir, target, TargetDir(target))
		}
	})
}

func TestParseTargetDirErrors(t *testing.T) {
	for _, dir := range []string{
		"", "a", "a/", "/b", "a/b/c", "a/@b", "a/@/c", "a/b/c/d", "a/b%", "a/b%4", "a/b%zz", "a/%5f", "a/%41", "a/b:c", "a/.b", "a/b/", "a/ü", "a/b.", "a/nul", "a/%%",
	} {
		t.Run(dir, func(t *testing.T) {
			if target, err := ParseTargetDir(dir); err == nil {
				t.Errorf("ParseTargetDir(%q) = %q, want an error", dir, target)
			}
		})
	}
}

func TestScrapePaths(t *testing.T) {
	got := ScrapePaths(scrape.Target{Account: "a", Source: "s", Name: "h:1.j"}, 1_795_333_095_004_123)
	want := Paths{
		Dir:      "a/@s/h_1.j/1795333095004123",
		Metadata: "a/@s/h_1.j/1795333095004123/1795333095004123.json",
		Data:     "a/@s/h_1.j/1795333095004123/1795333095004123.data.gz",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("paths differ (-want +got):\n%s", diff)
	}
}

func BenchmarkScrapePaths(b *testing.B) {
	target := scrape.Target{Account: "acme", Source: "eu-1", Name: "192.168.120.51:9100.prometheus"}
	b.ReportAllocs()
	for b.Loop() {
		ScrapePaths(target, 1_795_333_095_004_123)
	}
}

func ExampleTargetDir() {
	fmt.Println(TargetDir(scrape.Target{Account: "acme", Source: "eu-1", Name: "192.168.120.51:9100.node"}))
	// Output: acme/@eu-1/192.168.120.51_9100.node
}
