package bus

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/scrape"
)

func rawMessage(name string, data []byte) Message {
	t := scrape.Target{Account: "acme", Name: name}
	return Message{Subject: event.RawSubject(t, testPartitions), Header: event.TargetHeader(t), Data: data}
}

func TestAppendReadsBack(t *testing.T) {
	each(t, func(t *testing.T, b *Bus) {
		large := randomBytes(3*partSize + 17)
		want := []Message{
			rawMessage("a", []byte("one")),
			rawMessage("b", large),
			rawMessage("a", []byte("three")),
			rawMessage("c", nil),
		}
		sequences, err := b.Append(t.Context(), event.Raw, want...)
		if err != nil {
			t.Fatal(err)
		}
		// The large message has four parts in front of it.
		if diff := cmp.Diff([]uint64{1, 6, 7, 8}, sequences); diff != "" {
			t.Errorf("sequences (-want +got):\n%s", diff)
		}
		r, err := b.Read(t.Context(), ReadOptions{Stream: event.Raw, Subjects: []string{"zs.raw.>"}})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		for i, m := range want {
			m.Sequence = sequences[i]
			got, err := r.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			equalMessage(t, m, got)
			got, err = b.Get(t.Context(), event.Raw, sequences[i])
			if err != nil {
				t.Fatal(err)
			}
			equalMessage(t, m, got)
		}
		last, err := b.Last(t.Context(), event.Raw, want[1].Subject)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(last.Data, large) {
			t.Error("the last message of the subject is not the large one")
		}
	})
}

func equalMessage(t *testing.T, want, got Message) {
	t.Helper()
	if want.Subject != got.Subject || want.Sequence != got.Sequence || !bytes.Equal(want.Data, got.Data) {
		t.Errorf("message %d on %s with %d bytes differs from %d on %s with %d bytes",
			got.Sequence, got.Subject, len(got.Data), want.Sequence, want.Subject, len(want.Data))
	}
	for name, value := range want.Header {
		if got.Header[name] != value {
			t.Errorf("message %d: header %s = %q, want %q", got.Sequence, name, got.Header[name], value)
		}
	}
}

func TestLastOfNothing(t *testing.T) {
	b := oneNode(t)
	if _, err := b.Last(t.Context(), event.Raw, "zs.raw.0.a.b"); !errors.Is(err, ErrNotFound) {
		t.Errorf("Last = %v, want ErrNotFound", err)
	}
	if _, err := b.Get(t.Context(), event.Raw, 7); !errors.Is(err, ErrNotFound) {
		t.Errorf("Get = %v, want ErrNotFound", err)
	}
}

func TestAppendIsAllOrNothing(t *testing.T) {
	each(t, func(t *testing.T, b *Bus) {
		good, bad := entries(event.Raw, rawMessage("a", nil)), entries(event.Raw, rawMessage("b", nil))
		bad[0].expectLast(99)
		if _, err := b.publish(t.Context(), event.Raw, append(good, bad...)); !errors.Is(err, ErrFenced) {
			t.Errorf("publish = %v, want ErrFenced", err)
		}
		if _, last, err := b.Bounds(t.Context(), event.Raw); err != nil || last != 0 {
			t.Errorf("stream ends at %d (%v), want nothing stored", last, err)
		}
	})
}

func TestAppendTooLarge(t *testing.T) {
	b := oneNode(t)
	msgs := make([]Message, maxBatch+1)
	for i := range msgs {
		msgs[i] = rawMessage("a", nil)
	}
	if _, err := b.Append(t.Context(), event.Raw, msgs...); !errors.Is(err, ErrTooLarge) {
		t.Errorf("Append = %v, want ErrTooLarge", err)
	}
	if _, last, _ := b.Bounds(t.Context(), event.Raw); last != 0 {
		t.Errorf("stream ends at %d, want nothing stored", last)
	}
}

func TestAppendToFullStream(t *testing.T) {
	s, err := StartServer(t.Context(), ServerOptions{Dir: t.TempDir(), Logger: quiet(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	b := connect(t, Options{Server: s})
	if err := b.EnsureStreams(t.Context(), event.Topology(event.Limits{RawBytes: 64 << 10}), testPartitions); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if _, err = b.Append(t.Context(), event.Raw, rawMessage("a", randomBytes(1000)), rawMessage("b", randomBytes(1000))); err != nil {
			break
		}
	}
	if !errors.Is(err, ErrFull) {
		t.Errorf("Append to a full stream = %v, want ErrFull", err)
	}
}

// TestAppenderGroups has many callers at once, more than JetStream allows open batches, and counts durable writes: far fewer
// than callers, so the number of fsyncs does not grow with theirs.
func TestAppenderGroups(t *testing.T) {
	b := oneNode(t)
	a, stop := startAppender(t, b, 4096)
	const callers, each = 200, 7
	var running sync.WaitGroup
	for c := range callers {
		running.Go(func() {
			msgs := make([]Message, each)
			for i := range msgs {
				msgs[i] = rawMessage(fmt.Sprintf("caller-%d", c), []byte{byte(i)})
			}
			sequences, err := a.Append(t.Context(), msgs)
			if err != nil {
				t.Errorf("caller %d: %v", c, err)
				return
			}
			for i, s := range sequences {
				m, err := b.Get(t.Context(), event.Raw, s)
				if err != nil || m.Subject != msgs[i].Subject || m.Data[0] != byte(i) {
					t.Errorf("caller %d: sequence %d holds another message: %v", c, s, err)
				}
			}
		})
	}
	running.Wait()
	stop()
	if n := testutil.ToFloat64(a.metrics.messages); n != callers*each {
		t.Errorf("%v messages stored, want %d", n, callers*each)
	}
	if n := testutil.ToFloat64(a.metrics.batches); n > callers/2 {
		t.Errorf("%v batches for %d callers: they were not merged", n, callers)
	}
}

func TestAppenderInCluster(t *testing.T) {
	b := cluster(t)
	a, stop := startAppender(t, b, 16)
	var running sync.WaitGroup
	for c := range 50 {
		running.Go(func() {
			large := randomBytes(partSize + 1 + c)
			sequences, err := a.Append(t.Context(), []Message{rawMessage("small", []byte{1}), rawMessage("large", large)})
			if err != nil {
				t.Error(err)
				return
			}
			m, err := b.Get(t.Context(), event.Raw, sequences[1])
			if err != nil || !bytes.Equal(m.Data, large) {
				t.Errorf("large message was not read back: %v", err)
			}
		})
	}
	running.Wait()
	stop()
}

func TestAppenderSplitsLargeCalls(t *testing.T) {
	b := oneNode(t)
	a, stop := startAppender(t, b, 100)
	msgs := make([]Message, 2*maxBatch+5)
	for i := range msgs {
		msgs[i] = rawMessage("a", nil)
	}
	sequences, err := a.Append(t.Context(), msgs)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range sequences {
		if s != uint64(i+1) {
			t.Fatalf("message %d has sequence %d", i, s)
		}
	}
	stop()
	if _, err := a.Append(t.Context(), msgs[:1]); !errors.Is(err, errAppenderClosed) {
		t.Errorf("Append after the end = %v, want an error", err)
	}
}

func startAppender(t *testing.T, b *Bus, pending int) (*Appender, func()) {
	t.Helper()
	a, err := NewAppender(AppenderOptions{Bus: b, Stream: event.Raw, MaxPending: pending, Registerer: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	return a, start(t, a.Run)
}

func randomBytes(n int) []byte {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	out := make([]byte, n)
	for i := range out {
		out[i] = byte(r.Uint32())
	}
	return out
}

// TestLargeSchemas: SCHEMAS keeps only the last message of each subject, and yet messages in parts stay whole, also when they
// are published again.
func TestLargeSchemas(t *testing.T) {
	each(t, func(t *testing.T, b *Bus) {
		large := Message{Subject: "zs.schema.acme.aa", Data: randomBytes(2*partSize + 1)}
		other := Message{Subject: "zs.schema.acme.bb", Data: randomBytes(partSize + 1)}
		again := Message{Subject: large.Subject, Data: randomBytes(3*partSize + 1)}
		for _, step := range []struct{ publish, want []Message }{
			{[]Message{large, other}, []Message{large, other}},
			{[]Message{again}, []Message{again, other}},
			{[]Message{large}, []Message{large, other}},
		} {
			if _, err := b.Append(t.Context(), event.Schemas, step.publish...); err != nil {
				t.Fatal(err)
			}
			for _, want := range step.want {
				got, err := b.Last(t.Context(), event.Schemas, want.Subject)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(got.Data, want.Data) {
					t.Errorf("%s: read back %d bytes, other than the %d published", want.Subject, len(got.Data), len(want.Data))
				}
			}
		}
	})
}

// TestOneOfManyWins publishes at the same time under one condition: in a cluster the others meet a proposal in flight, on a single
// node a stored message. Either way one is stored, and the others are told that they were late.
func TestOneOfManyWins(t *testing.T) {
	each(t, func(t *testing.T, b *Bus) {
		const rivals = 20
		errs := make([]error, rivals)
		var running sync.WaitGroup
		for i := range rivals {
			running.Go(func() {
				// A batch, as commits are: an output and a checkpoint.
				out := entries(event.Raw, rawMessage(fmt.Sprintf("output-%d", i), nil))
				ckpt := entries(event.Raw, rawMessage("checkpoint", nil))
				ckpt[0].expectLast(0)
				_, errs[i] = b.publish(t.Context(), event.Raw, append(out, ckpt...))
			})
		}
		running.Wait()
		won := 0
		for i, err := range errs {
			switch {
			case err == nil:
				won++
			case !errors.Is(err, ErrFenced):
				t.Errorf("rival %d: %v, want ErrFenced", i, err)
			}
		}
		if _, last, err := b.Bounds(t.Context(), event.Raw); won != 1 || last != 2 || err != nil {
			t.Errorf("%d rivals won and the stream ends at %d (%v), want one with its two messages", won, last, err)
		}
	})
}
