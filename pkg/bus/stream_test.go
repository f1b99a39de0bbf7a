package bus

import (
	"strings"
	"testing"
	"time"

	"github.com/zstats/zstats/pkg/event"
)

func TestEnsureStreamsTwiceAndWithNewLimits(t *testing.T) {
	b := oneNode(t)
	if _, err := b.Append(t.Context(), event.Raw, rawMessage("a", []byte("x"))); err != nil {
		t.Fatal(err)
	}
	limits := event.Limits{RawBytes: 1 << 20, DeadAge: time.Hour}
	for range 2 {
		if err := b.EnsureStreams(t.Context(), event.Topology(limits), testPartitions); err != nil {
			t.Fatal(err)
		}
	}
	s, err := b.js.Stream(t.Context(), event.Raw)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.CachedInfo().Config.MaxBytes; got != 1<<20 {
		t.Errorf("RAW holds %d bytes at most, want the new limit", got)
	}
	if m, err := b.Get(t.Context(), event.Raw, 1); err != nil || string(m.Data) != "x" {
		t.Errorf("message after the update: %q, %v", m.Data, err)
	}
}

func TestEnsureStreamsRefusesOtherPartitions(t *testing.T) {
	b := oneNode(t)
	err := b.EnsureStreams(t.Context(), event.Topology(event.Limits{}), testPartitions*2)
	if err == nil || !strings.Contains(err.Error(), "configure 8") {
		t.Errorf("EnsureStreams with another number of partitions = %v, want an error that says which to configure", err)
	}
}

func TestEnsureStreamsRefusesForeignStream(t *testing.T) {
	b := oneNode(t)
	foreign := event.Topology(event.Limits{})
	foreign[0].Subjects = []string{"something.else"}
	if err := b.EnsureStreams(t.Context(), foreign, testPartitions); err == nil {
		t.Error("a stream with other subjects was accepted")
	}
}

func TestServerNeedsItsDirectory(t *testing.T) {
	if _, err := StartServer(t.Context(), ServerOptions{}); err == nil {
		t.Error("StartServer without a directory succeeded")
	}
	if _, err := StartServer(t.Context(), ServerOptions{Dir: "/dev/null/x"}); err == nil || !strings.Contains(err.Error(), "/dev/null/x") {
		t.Errorf("StartServer in an impossible directory = %v, want an error that names it", err)
	}
}
