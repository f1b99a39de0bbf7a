package e2e

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/checker"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/scrape"
	"github.com/zstats/zstats/test/eventually"
	"github.com/zstats/zstats/test/harness"
)

// deadletter runs `zstats deadletter` and returns its exit code and output.
func deadletter(t *testing.T, z *harness.Zstats, args ...string) (code int, out string) {
	t.Helper()
	data, err := exec.CommandContext(t.Context(), zstatsBinary, append(append([]string{"deadletter"}, args...), "--data-dir", z.Dir)...).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if exit != nil {
		return exit.ExitCode(), string(data)
	}
	return 0, string(data)
}

// TestDeadLetters: a message of RAW that nobody can decode becomes a dead letter, while its target and all others go on. The
// command shows it, on the running log and on the stopped one.
func TestDeadLetters(t *testing.T) {
	z := startZstats(t)
	w := wire{t, z.IngestAddr, checker.NewBook()}
	all := newWireTarget("poisoned:1.j", 1).scrapes(8)
	w.want("before", w.send(all[:3], smallests(all[:3])), zeros(3))
	eventually.Succeeds(t, "the first ones are written", func() error { return written(t, z, "poisoned:1.j", 3) })
	if code, out := deadletter(t, z, "ls"); code != 0 || !strings.Contains(out, "no dead letters") {
		t.Errorf("without any: %d, %s", code, out)
	}
	poison(t, z, scrape.Target{Account: account, Name: "poisoned:1.j"})
	var letter struct {
		Sequence       uint64
		Reason, Target string
	}
	eventually.Succeeds(t, "a dead letter", func() error {
		_, out := deadletter(t, z, "ls", "--json")
		return json.Unmarshal([]byte(out), &letter)
	})
	if letter.Reason != "undecodable" || letter.Target != "poisoned:1.j" {
		t.Errorf("letter %+v", letter)
	}
	eventually.Succeeds(t, "the target is asked for a full blob", func() error {
		if codes := w.send(all[3:4], smallests(all[3:4])); codes[0] != 1 {
			return errors.New("it is not")
		}
		return nil
	})
	w.want("in full", w.send(all[3:], fulls(all[3:])), zeros(5))
	eventually.Succeeds(t, "the target goes on", func() error { return written(t, z, "poisoned:1.j", 8) })

	if err := z.Stop(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	payload := filepath.Join(t.TempDir(), "payload")
	if code, out := deadletter(t, z, "show", "1", "--payload", payload); code != 0 || !strings.Contains(out, "undecodable") {
		t.Errorf("show: %d, %s", code, out)
	}
	if data, err := os.ReadFile(payload); err != nil || string(data) != "poison" {
		t.Errorf("payload %q, %v", data, err)
	}
	if code, out := deadletter(t, z, "requeue", "--all"); code != 1 || !strings.Contains(out, "it can't be decoded") || !strings.Contains(out, "1 left") {
		t.Errorf("requeue: %d, %s", code, out)
	}
	for _, wrong := range [][]string{{"show", "x"}, {"requeue"}, {"requeue", "1", "--all"}, {"show"}} {
		if code, out := deadletter(t, z, wrong...); code != 2 {
			t.Errorf("%q: exit code %d, want 2\n%s", wrong, code, out)
		}
	}
	if code, out := deadletter(t, z, "show", "99"); code != 1 || !strings.Contains(out, "there is no dead letter 99") {
		t.Errorf("show of what is not there: %d, %s", code, out)
	}
}

func written(t *testing.T, z *harness.Zstats, target string, n int) error {
	if len(listTarget(t, z, target)) != n {
		return errors.New("not yet")
	}
	return nil
}

// poison puts a message into RAW that can't be decoded.
func poison(t *testing.T, z *harness.Zstats, target scrape.Target) {
	t.Helper()
	url, err := os.ReadFile(filepath.Join(z.Dir, "nats-url"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := bus.Connect(bus.Options{URL: strings.TrimSpace(string(url))})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	_, err = b.Append(t.Context(), event.Raw, bus.Message{
		Subject: event.RawSubject(target, event.DefaultPartitions), Header: event.TargetHeader(target), Data: []byte("poison"),
	})
	if err != nil {
		t.Fatal(err)
	}
}
