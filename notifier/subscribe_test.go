package notifier

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/zstats/zstats/pkg/bus/bustest"
	"github.com/zstats/zstats/pkg/event/eventpb"
)

func TestEventArrivesWhole(t *testing.T) {
	b := bustest.Open(t)
	s, _ := subscribe(t, dial(t, serve(t, Options{Log: b})), &eventpb.SubscribeRequest{})
	at := target("acme", "h:9100.node")
	at.Source = "eu1"
	sequence := appendAll(t, b, written(t, at, 1584152545363000))[0]
	want := &eventpb.ScrapeWritten{
		Account: "acme", Source: "eu1", Target: "h:9100.node", InstanceId: "h:9100.node", Type: "prometheus",
		DataPath:           "acme/h:9100.node/1584152545363000/1584152545363000.data.gz",
		MetadataPath:       "acme/h:9100.node/1584152545363000/1584152545363000.json",
		DefaultTimestampMs: 1584152545363, EpochUs: 1584152545363000, Generation: 1584152545363000,
		Samples: 500, Inferred: 2, Bytes: 4096, Sequence: sequence,
	}
	if diff := cmp.Diff(want, nextEvent(t, s), protocmp.Transform()); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
}

func TestFromNow(t *testing.T) {
	b := bustest.Open(t)
	c := dial(t, serve(t, Options{Log: b}))
	empty, started := subscribe(t, c, &eventpb.SubscribeRequest{})
	if got := started.GetNextSequence(); got != 1 {
		t.Errorf("in an empty log next_sequence is %d, want 1", got)
	}
	a := target("acme", "a.j")
	publish(t, b, repeat(a, 3)...)
	s, started := subscribe(t, c, &eventpb.SubscribeRequest{})
	if got := started.GetNextSequence(); got != 4 {
		t.Errorf("next_sequence is %d, want 4", got)
	}
	publish(t, b, repeat(a, 2)...)
	if diff := cmp.Diff([]uint64{4, 5}, sequences(t, s, 2)); diff != "" {
		t.Errorf("from now (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]uint64{1, 2, 3, 4, 5}, sequences(t, empty, 5)); diff != "" {
		t.Errorf("from now on an empty log (-want +got):\n%s", diff)
	}
}

func TestFromSequence(t *testing.T) {
	b := bustest.Open(t)
	c := dial(t, serve(t, Options{Log: b}))
	a := target("acme", "a.j")
	appendAll(t, b, checkpoint(0), written(t, a, 1), checkpoint(0), written(t, a, 2), written(t, a, 3), checkpoint(0)) // 2, 4, 5
	for _, c2 := range []struct {
		from uint64
		want []uint64
	}{
		{0, []uint64{2, 4, 5}}, {1, []uint64{2, 4, 5}}, {2, []uint64{2, 4, 5}}, {3, []uint64{4, 5}}, {5, []uint64{5}},
	} {
		s, started := subscribe(t, c, from(c2.from))
		if diff := cmp.Diff(c2.want, sequences(t, s, len(c2.want))); diff != "" {
			t.Errorf("from %d (-want +got):\n%s", c2.from, diff)
		}
		if got := started.GetNextSequence(); got != 7 {
			t.Errorf("from %d: next_sequence is %d, want 7", c2.from, got)
		}
	}
	s, _ := subscribe(t, c, from(7)) // the next one
	publish(t, b, a)
	if got := nextEvent(t, s).GetSequence(); got != 7 {
		t.Errorf("from the next sequence: got %d, want 7", got)
	}
}

func TestFromTime(t *testing.T) {
	b := bustest.Open(t)
	c := dial(t, serve(t, Options{Log: b}))
	a := target("acme", "a.j")
	var stored []time.Time
	for range 5 {
		sequence := publish(t, b, a)[0]
		place, err := b.Find(t.Context(), "EVENTS", ">", sequence)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, place.Stored)
	}
	for i, at := range stored {
		s, _ := subscribe(t, c, since(at.Add(time.Microsecond).Truncate(time.Microsecond)))
		// Behind the event's own time: the next is the first.
		if i+1 < len(stored) && stored[i+1].Sub(at) > time.Microsecond {
			if got := nextEvent(t, s).GetSequence(); got != uint64(i+2) {
				t.Errorf("since just behind event %d: got %d", i+1, got)
			}
		}
		s, _ = subscribe(t, c, since(at))
		if got := nextEvent(t, s).GetSequence(); got != uint64(i+1) {
			t.Errorf("since the time of event %d: got %d", i+1, got)
		}
	}
	s, _ := subscribe(t, c, since(time.UnixMicro(0)))
	if diff := cmp.Diff([]uint64{1, 2, 3, 4, 5}, sequences(t, s, 5)); diff != "" {
		t.Errorf("since ever (-want +got):\n%s", diff)
	}
	s, _ = subscribe(t, c, since(time.Now().Add(10*time.Second)))
	publish(t, b, a)
	if got := nextEvent(t, s).GetSequence(); got != 6 {
		t.Errorf("since a moment that a fast clock calls now: got %d, want 6", got)
	}
}

func TestFilters(t *testing.T) {
	b := bustest.Open(t)
	c := dial(t, serve(t, Options{Log: b}))
	publish(t, b,
		target("acme", "10.0.0.1:9100.node"),  // 1
		target("acme", "10.0.0.2:9100.node"),  // 2
		target("acme", "10.0.0.1:9090.prom"),  // 3
		target("other", "10.0.0.1:9100.node"), // 4
		target("acme-2", "[::1]:80.j"),        // 5
		target("acme", "star*.j"),             // 6
		target("acme", `back\slash.j`),        // 7
		target("acme", "ünï.j"),               // 8
		target("end", "last.job"),             // 9, seen by all below
	)
	for _, c2 := range []struct {
		account, target string
		want            []uint64
	}{
		{"", "", []uint64{1, 2, 3, 4, 5, 6, 7, 8, 9}},
		{"acme", "", []uint64{1, 2, 3, 6, 7, 8}},
		{"acme", "10.0.0.?:9100.node", []uint64{1, 2}},
		{"", "*.node", []uint64{1, 2, 4}},
		{"other", "*", []uint64{4}},
		{"", "[::1]*", []uint64{5}},
		{"", `star\*.j`, []uint64{6}},
		{"", `back\\slash.j`, []uint64{7}},
		{"", "?n?.j", []uint64{8}},
		{"", "10.0.0.1", nil},
		{"nobody", "", nil},
	} {
		r := from(1)
		r.Account, r.Target = c2.account, c2.target
		s, _ := subscribe(t, c, r)
		got, err := upTo(s, 9)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c2.want, got); diff != "" {
			t.Errorf("account %q, target %q (-want +got):\n%s", c2.account, c2.target, diff)
		}
	}
}

func TestProgress(t *testing.T) {
	b := bustest.Open(t)
	c := dial(t, serve(t, Options{Log: b}))
	s, _ := subscribe(t, c, &eventpb.SubscribeRequest{Account: "quiet"})
	last := publish(t, b, repeat(target("loud", "a.j"), 10)...)[9]
	var next uint64
	for next <= last {
		m := receive(t, s)
		if m.GetProgress() == nil {
			t.Fatalf("got %v, want Progress", m)
		}
		if m.GetProgress().GetNextSequence() <= next {
			t.Fatalf("Progress went from %d to %d", next, m.GetProgress().GetNextSequence())
		}
		next = m.GetProgress().GetNextSequence()
	}
	if next != last+1 {
		t.Errorf("next_sequence is %d, want %d", next, last+1)
	}
	want := publish(t, b, target("quiet", "a.j"))[0]
	if got := nextEvent(t, s).GetSequence(); got != want {
		t.Errorf("event behind Progress: got %d, want %d", got, want)
	}
}

func TestBadRequests(t *testing.T) {
	b := bustest.Open(t)
	n := serve(t, Options{Log: b})
	c := dial(t, n)
	publish(t, b, target("acme", "a.j"))
	long := make([]byte, 1025)
	for i := range long {
		long[i] = 'x'
	}
	for _, c2 := range []struct {
		name string
		r    *eventpb.SubscribeRequest
		code codes.Code
		text string
	}{
		{"behind the end", from(3), codes.OutOfRange, "from_sequence is 3, but the next event will have 2: is this another log, or a new one? 0 asks for all that is kept"},
		{"negative time", &eventpb.SubscribeRequest{From: &eventpb.SubscribeRequest_FromTimeUs{FromTimeUs: -1}}, codes.InvalidArgument, "from_time_us is -1, which is negative"},
		{"nanoseconds", &eventpb.SubscribeRequest{From: &eventpb.SubscribeRequest_FromTimeUs{FromTimeUs: 1584152545363000000}}, codes.InvalidArgument, "from_time_us is 1584152545363000000, which lies in the future: it counts microseconds since the Unix epoch"},
		{"open escape", &eventpb.SubscribeRequest{Target: `a\`}, codes.InvalidArgument, `target: the pattern ends in a backslash; "\\" stands for one`},
		{"long pattern", &eventpb.SubscribeRequest{Target: string(long)}, codes.InvalidArgument, "target: the pattern has 1025 bytes, more than 1024"},
		{"long account", &eventpb.SubscribeRequest{Account: string(long)}, codes.InvalidArgument, "account has 1025 bytes, more than 256"},
	} {
		s, err := eventpb.NewNotifierClient(c).Subscribe(t.Context(), c2.r)
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Recv()
		if got := status.Convert(err); got.Code() != c2.code || got.Message() != c2.text {
			t.Errorf("%s: got %v, want %v %q", c2.name, err, c2.code, c2.text)
		}
	}
	until(t, "no subscriber is left", func() bool { return n.subs.count() == 0 })
}

func TestHugeRequestIsRefused(t *testing.T) {
	c := dial(t, serve(t, Options{Log: bustest.Open(t)}))
	s, err := eventpb.NewNotifierClient(c).Subscribe(t.Context(), &eventpb.SubscribeRequest{Account: string(make([]byte, maxRequest))})
	if err == nil {
		_, err = s.Recv()
	}
	if status.Code(err) != codes.ResourceExhausted {
		t.Errorf("got %v, want ResourceExhausted", err)
	}
}
