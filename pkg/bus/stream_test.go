package bus

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/test/eventually"
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

// TestEnsureStreamsRefusesLosses: what is stored stays, and the error says what to do.
func TestEnsureStreamsRefusesLosses(t *testing.T) {
	b := oneNode(t)
	before := event.Limits{RawBytes: 1 << 20, DeadAge: time.Hour, SchemasAge: time.Hour}
	if err := b.EnsureStreams(t.Context(), event.Topology(before), testPartitions); err != nil {
		t.Fatal(err)
	}
	for stream, subject := range map[string]string{event.Raw: "zs.raw.1.x", event.Dead: "zs.dead.x", event.Schemas: "zs.schema.x"} {
		if _, err := b.Append(t.Context(), stream, Message{Subject: subject, Data: randomBytes(5000)}); err != nil {
			t.Fatal(err)
		}
	}
	eventually.Succeeds(t, "the messages are older than a moment", func() error {
		s, err := b.StreamStatus(t.Context(), event.Dead)
		if err == nil && time.Since(s.FirstTime) < 200*time.Millisecond {
			err = errNotYet
		}
		return err
	})
	for name, tt := range map[string]struct {
		limits event.Limits
		says   string // empty if it is no error
	}{
		"fewer bytes than there are":   {event.Limits{RawBytes: 4000, DeadAge: time.Hour, SchemasAge: time.Hour}, "stream RAW: incompatible stream: it holds 5"},
		"less than the dead's age":     {event.Limits{RawBytes: 1 << 20, DeadAge: 150 * time.Millisecond, SchemasAge: time.Hour}, "an age of at least 1h"},
		"less than the schemas' age":   {event.Limits{RawBytes: 1 << 20, DeadAge: time.Hour, SchemasAge: 150 * time.Millisecond}, ""},
		"fewer bytes, but enough":      {event.Limits{RawBytes: 1 << 16, DeadAge: time.Hour, SchemasAge: time.Hour}, ""},
		"a lower age, older than both": {event.Limits{RawBytes: 1 << 16, DeadAge: time.Minute, SchemasAge: time.Minute}, ""},
		"no limits":                    {event.Limits{}, ""},
	} {
		err := b.EnsureStreams(t.Context(), event.Topology(tt.limits), testPartitions)
		if tt.says == "" && err != nil || tt.says != "" && (!errors.Is(err, ErrIncompatible) || !strings.Contains(err.Error(), tt.says)) {
			t.Errorf("%s: %v, want %q", name, err, tt.says)
		}
		for _, stream := range []string{event.Raw, event.Dead, event.Schemas} {
			if s, err := b.StreamStatus(t.Context(), stream); err != nil || s.Messages != 1 {
				t.Errorf("%s: %s holds %+v, %v", name, stream, s, err)
			}
		}
		if err := b.EnsureStreams(t.Context(), event.Topology(before), testPartitions); err != nil {
			t.Fatal(err)
		}
	}
}

// TestLossless: a service that is started with fewer copies than there are must not take any away.
func TestLossless(t *testing.T) {
	three, one := jetstream.StreamConfig{Replicas: 3}, jetstream.StreamConfig{Replicas: 1}
	if err := lossless(three, one, jetstream.StreamState{}, time.Now()); !errors.Is(err, ErrIncompatible) || !strings.Contains(err.Error(), "configure 3") {
		t.Errorf("three copies to one: %v", err)
	}
	if err := lossless(one, three, jetstream.StreamState{}, time.Now()); err != nil {
		t.Errorf("one copy to three: %v", err)
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
