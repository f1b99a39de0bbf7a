package tail_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/zstats/zstats/notifier"
	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/bus/bustest"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/event/eventpb"
	"github.com/zstats/zstats/pkg/scrape"
	"github.com/zstats/zstats/pkg/subscribe"
	"github.com/zstats/zstats/pkg/tail"
	"github.com/zstats/zstats/test/freeaddr"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// serve runs a notifier and returns its address and how to stop it.
func serve(t *testing.T, b *bus.Bus, addr string) (string, func()) {
	t.Helper()
	n, err := notifier.New(notifier.Options{Addr: addr, Log: b})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("notifier: %v", err)
		}
	})
	t.Cleanup(stop)
	return n.Addr().String(), stop
}

// publish writes the events of the golden files, and one of another account in front of them.
func publish(t *testing.T, b *bus.Bus) {
	t.Helper()
	var messages []bus.Message
	for _, e := range append([]*eventpb.ScrapeWritten{{Account: "other", Target: "x.j"}}, events()...) {
		target := scrape.Target{Account: e.GetAccount(), Source: e.GetSource(), Name: e.GetTarget()}
		e.Sequence = 0
		data, err := event.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		messages = append(messages, bus.Message{Subject: event.EventSubject(target, bustest.Partitions), Header: event.TargetHeader(target), Data: data})
	}
	if _, err := b.Append(t.Context(), event.Events, messages...); err != nil {
		t.Fatal(err)
	}
}

func client(t *testing.T, addr string) *subscribe.Client {
	t.Helper()
	c, err := subscribe.New(subscribe.Options{Addr: addr, MinBackoff: 200 * time.Millisecond, MaxBackoff: 400 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func fromStart() *eventpb.SubscribeRequest {
	return &eventpb.SubscribeRequest{From: &eventpb.SubscribeRequest_FromSequence{}}
}

// From the log through the notifier to the terminal.
func TestRunShowsTheTable(t *testing.T) {
	b := bustest.Open(t)
	addr, _ := serve(t, b, "127.0.0.1:0")
	publish(t, b)
	var out, notes bytes.Buffer
	day, zone := today()
	v := tail.NewTable(tail.TableOptions{Out: &out, Notes: &notes, Width: func() int { return 80 }, Zone: zone, Today: day, OneAccount: true})
	if err := v.Header(); err != nil {
		t.Fatal(err)
	}
	r := fromStart()
	r.Account, r.Target = "Zebrium", "*.prometheus"
	err := tail.Run(t.Context(), tail.Options{Client: client(t, addr), Request: r, View: v, Notes: &notes, Count: 1})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "run", out.Bytes())
	if notes.Len() > 0 {
		t.Errorf("notes: %s", notes.String())
	}
}

// hook is a view that calls a function at each event.
type hook struct {
	tail.View
	event func()
}

func (h hook) Event(e *eventpb.ScrapeWritten) error {
	h.event()
	return h.View.Event(e)
}

// answering is a writer that calls a function at each write.
type answering struct {
	bytes.Buffer
	write func(string)
}

func (a *answering) Write(p []byte) (int, error) {
	a.write(string(p))
	return a.Buffer.Write(p)
}

func TestRunOverARestart(t *testing.T) {
	b := bustest.Open(t)
	addr, stop := serve(t, b, freeaddr.One(t))
	publish(t, b)
	var out bytes.Buffer
	seen := 0
	view := hook{tail.NewJSON(&out), func() {
		if seen++; seen == 5 {
			stop()
			publish(t, b)
		}
	}}
	notes := &answering{}
	notes.write = func(line string) {
		if strings.HasPrefix(line, "connection lost") && seen == 5 && notes.Len() == 0 {
			_, _ = serve(t, b, addr)
		}
	}
	err := tail.Run(t.Context(), tail.Options{Client: client(t, addr), Request: fromStart(), View: view, Notes: notes, Count: 10})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(out.String()) {
		sequence, _, _ := strings.Cut(line, ",")
		got = append(got, sequence)
	}
	var want []string
	for i := range 10 {
		want = append(want, fmt.Sprintf(`{"sequence":%d`, i+1))
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("got %s\nwant %s", got, want)
	}
	text := notes.String()
	if !strings.HasPrefix(text, "connection lost (notifier at "+addr+": stopping now: connect again), next attempt in ") || !strings.HasSuffix(text, "\nconnected again\n") {
		t.Errorf("notes:\n%s", text)
	}
}

func TestRunEnds(t *testing.T) {
	b := bustest.Open(t)
	addr, _ := serve(t, b, "127.0.0.1:0")
	publish(t, b)
	ctx, cancel := context.WithCancel(t.Context())
	view := hook{tail.NewJSON(new(bytes.Buffer)), cancel}
	if err := tail.Run(ctx, tail.Options{Client: client(t, addr), Request: fromStart(), View: view, Notes: new(bytes.Buffer)}); err != nil {
		t.Errorf("at an interrupt: %v", err)
	}
	broken := errors.New("no space left")
	err := tail.Run(t.Context(), tail.Options{Client: client(t, addr), Request: fromStart(), View: tail.NewJSON(failing{broken}), Notes: new(bytes.Buffer)})
	if !errors.Is(err, broken) {
		t.Errorf("when nothing can be written: %v", err)
	}
	err = tail.Run(t.Context(), tail.Options{Client: client(t, freeaddr.One(t)), View: view, Notes: new(bytes.Buffer)})
	if !errors.Is(err, subscribe.ErrUnreachable) {
		t.Errorf("where nothing listens: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }
