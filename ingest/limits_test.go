package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/bus/bustest"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/event/eventpb"
	"github.com/zstats/zstats/pkg/scrape"
	"github.com/zstats/zstats/pkg/zstatsv1"
	"github.com/zstats/zstats/test/eventually"
)

// wantKept checks that the answer makes a collector keep what it sent.
func wantKept(t *testing.T, got answer) {
	t.Helper()
	if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" {
		t.Errorf("status %d, Retry-After %q; want 503 and some seconds: %s", got.status, got.header.Get("Retry-After"), got.body)
	}
}

// unready is a log that can't store.
type unready struct {
	Log
	is atomic.Bool
}

func (u *unready) Ready() error {
	if u.is.Load() {
		return errFault
	}
	return u.Log.Ready()
}

// TestNotReady: probes and health checks are told too, so that load balancers and collectors wait.
func TestNotReady(t *testing.T) {
	n := openNode(t, event.Limits{})
	log := &unready{Log: n.bus}
	r := start(t, n, func(o *Options) { o.Log = log })
	log.is.Store(true)
	wantKept(t, r.post(t, pack()))
	wantKept(t, r.post(t, pack(goodRequest().IData...)))
	q := r.request(t, reader(nil))
	q.Method, q.Body = http.MethodGet, nil
	wantKept(t, r.do(t, q))
	n.wantRaw(t)
	log.is.Store(false)
	if got := r.send(t); len(got) > 0 {
		t.Errorf("codes %v for no blob", got)
	}
}

// TestLogIsFull: nothing is taken, nothing is remembered, and after a while the log is tried again.
func TestLogIsFull(t *testing.T) {
	n := openNode(t, event.Limits{RawBytes: 64 << 10})
	clock := newClock()
	r := start(t, n, func(o *Options) { o.Now = clock.now })
	s := newSource("h:1.j", 100, 4)
	wantCodes(t, r.send(t, s.next().full), 0)
	large := newSource("large:1.j", 100, 20_000)
	next := large.next()
	for i := range next.full.Samples {
		next.full.Samples[i].Val = float64(i) * 1.1 // does not compress well
	}
	wantKept(t, r.post(t, pack(s.next().incr, next.full)))
	if r.Ready() == nil {
		t.Error("ready although the log is full")
	}
	wantKept(t, r.post(t, pack()))
	clock.advance(6)
	if err := r.Ready(); err != nil {
		t.Errorf("not ready some seconds later: %v", err)
	}
	n.wantRaw(t, "h:1.j f100") // not even the small one of the request
}

// TestOverloaded: beyond the limits collectors are told to come again.
func TestOverloaded(t *testing.T) {
	n := openNode(t, event.Limits{})
	body := pack(goodRequest().IData...)
	setups := map[string]func(*intake) (release func()){
		"bodies": func(n *intake) func() {
			held := n.limits.BufferedBytes
			n.buffered.TryAcquire(held)
			return func() { n.buffered.Release(held) }
		},
		"places": func(n *intake) func() {
			held := int64(n.limits.Requests)
			n.places.TryAcquire(held)
			return func() { n.places.Release(held) }
		},
		"decoding": func(n *intake) func() {
			held := n.limits.DecodingBytes
			n.decoding.TryAcquire(held)
			return func() { n.decoding.Release(held) }
		},
	}
	r := start(t, n, nil)
	for name, take := range setups {
		t.Run(name, func(t *testing.T) {
			r.intake.patience = time.Millisecond
			before := r.metric("requests_total", string(outcomeOverloaded))
			release := take(r.intake)
			wantKept(t, r.post(t, body))
			release()
			if got := r.metric("requests_total", string(outcomeOverloaded)); got != before+1 {
				t.Errorf("%v overloaded requests counted, want %v", got, before+1)
			}
		})
	}
	n.wantRaw(t)
	wantNothingHeld(t, r)
	r.intake.patience = time.Minute
	wantCodes(t, r.send(t, goodRequest().IData...), 0)
}

// TestAuthenticationComesFirst: who has no token gets nothing that is scarce.
func TestAuthenticationComesFirst(t *testing.T) {
	n := openNode(t, event.Limits{})
	r := start(t, n, nil)
	r.intake.buffered.TryAcquire(r.intake.limits.BufferedBytes)
	defer r.intake.buffered.Release(r.intake.limits.BufferedBytes)
	q := r.request(t, reader(pack()))
	q.Header.Set(TokenHeader, "guess")
	if got := r.do(t, q); got.status != http.StatusUnauthorized {
		t.Errorf("status %d, want 401", got.status)
	}
}

// TestClaimThatIsTooLow: several gzip members one after the other, of which the last tells its own size only.
func TestClaimThatIsTooLow(t *testing.T) {
	n := openNode(t, event.Limits{})
	r := start(t, n, nil)
	value := encoded(zstatsv1.NewRequest("", []zstatsv1.Instance{newSource("h:1.j", 100, 500).next().full}))
	body := slices.Concat(squeeze(value[:len(value)-5]), squeeze(value[len(value)-5:]))
	if got := r.intake.claim(body); got != 5 {
		t.Fatalf("claim is %d, want 5", got)
	}
	got, err := codesOf(r.post(t, body), 1)
	if err != nil {
		t.Fatal(err)
	}
	wantCodes(t, got, 0)
	// If the rest can't be had at once, the collector comes again.
	held := r.intake.limits.DecodingBytes - r.intake.limits.DecodedBytes/2
	r.intake.decoding.TryAcquire(held)
	wantKept(t, r.post(t, body))
	r.intake.decoding.Release(held)
	wantNothingHeld(t, r)
}

func TestClaim(t *testing.T) {
	n, err := newIntake(func() Limits { var l Limits; l.setDefaults(); return l }(), newMetrics())
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		body []byte
		want int64
	}{
		{"true", squeeze(make([]byte, 12345)), 12345},
		{"nothing", squeeze(nil), 1},
		{"no gzip", []byte("up 1"), 1},
		{"more than can be", slices.Concat(make([]byte, 20), []byte{0xff, 0xff, 0xff, 0x7f}), 24 * 1032},
		{"more than the limit", slices.Concat(make([]byte, 1<<20), []byte{0xff, 0xff, 0xff, 0x7f}), 512 << 20},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := n.claim(tt.body); got != tt.want {
				t.Errorf("claim = %d, want %d", got, tt.want)
			}
		})
	}
}

// TestLargeBody grows its buffer several times.
func TestLargeBody(t *testing.T) {
	n := openNode(t, event.Limits{})
	r := start(t, n, nil)
	s := newSource("h:1.j", 100, 20_000)
	next := s.next()
	for i := range next.full.Samples {
		next.full.Samples[i].Val = float64(i) * 1.1
	}
	body := pack(next.full)
	if len(body) < 4*firstBuffer {
		t.Fatalf("the body has only %d bytes", len(body))
	}
	got, err := codesOf(r.post(t, body), 1)
	if err != nil {
		t.Fatal(err)
	}
	wantCodes(t, got, 0)
	if got := testutil.ToFloat64(r.metrics.bodyBytes); got != float64(len(body)) {
		t.Errorf("%v bytes counted, want %d", got, len(body))
	}
	wantNothingHeld(t, r)
	if got := testutil.ToFloat64(r.metrics.bufferedBytes); got != 0 {
		t.Errorf("%v buffered bytes are left", got)
	}
	if got := testutil.ToFloat64(r.metrics.decodingBytes); got != 0 {
		t.Errorf("%v bytes to decode are left", got)
	}
}

// TestManyBlobsOfOneTarget: what doesn't fit into one message goes into several, in order, each with its head.
func TestManyBlobsOfOneTarget(t *testing.T) {
	n := openNode(t, event.Limits{})
	r := start(t, n, nil)
	s := newSource("h:1.j", 1, 2)
	const blobs = 2*messageBlobs + 10
	instances := []zstatsv1.Instance{s.next().full}
	want := []int64{1}
	for g := int64(2); g <= blobs; g++ {
		instances = append(instances, s.next().incr)
		want = append(want, g)
	}
	if got := r.send(t, instances...); slices.Max(got) != 0 {
		t.Fatal("not all blobs are stored")
	}
	var got []event.Head
	entries := n.raw(t)
	for _, e := range entries {
		e.head.Received = 0
		got = append(got, e.head)
	}
	heads := []event.Head{
		{Run: scrape.Run{First: 1, Last: 500}, Samples: 2, FullSequence: 1},
		{Run: scrape.Run{First: 1, Last: 1000}, Samples: 2, FullSequence: 1},
		{Run: scrape.Run{First: 1, Last: 1010}, Samples: 2, FullSequence: 1},
	}
	if diff := cmp.Diff(heads, got); diff != "" {
		t.Errorf("heads (-want +got):\n%s", diff)
	}
	foldRaw(t, entries).wantScrapes(t, s, want...)
	if got := testutil.ToFloat64(r.metrics.samples); got != 2*blobs {
		t.Errorf("%v samples counted, want %d", got, 2*blobs)
	}
}

func TestMessageLength(t *testing.T) {
	blob := func(samples int) accepted { return accepted{blob: &scrape.Blob{Samples: samples}} }
	tests := []struct {
		name  string
		blobs []accepted
		want  int
	}{
		{"one", []accepted{blob(1)}, 1},
		{"one that is too large", []accepted{blob(messageSamples + 1), blob(1)}, 1},
		{"as many samples as may be", []accepted{blob(messageSamples - 1), blob(1), blob(1)}, 2},
		{"as many blobs as may be", slices.Repeat([]accepted{blob(1)}, messageBlobs), messageBlobs},
		{"more blobs", slices.Repeat([]accepted{blob(1)}, messageBlobs+1), messageBlobs},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := messageLength(tt.blobs); got != tt.want {
				t.Errorf("messageLength = %d, want %d", got, tt.want)
			}
		})
	}
}

// refusable are full blobs that no repetition makes acceptable, by what is wrong with them.
func refusable() map[string]zstatsv1.Instance {
	spoilt := func(spoil func(*zstatsv1.Instance)) zstatsv1.Instance {
		in := newSource("h:1.j", 100, 4).next().full
		for i := range in.Samples {
			in.Samples[i].Ls = slices.Clone(in.Samples[i].Ls)
		}
		spoil(&in)
		return in
	}
	return map[string]zstatsv1.Instance{
		"label value that is no UTF-8": spoilt(func(in *zstatsv1.Instance) { in.Samples[1].Ls[1].Value = "\xff" }),
		"help that is no UTF-8":        spoilt(func(in *zstatsv1.Instance) { in.Samples[1].Help = "a\xc3" }),
		"label without a name":         spoilt(func(in *zstatsv1.Instance) { in.Samples[2].Ls[1].Name = "" }),
		"label twice":                  spoilt(func(in *zstatsv1.Instance) { in.Samples[2].Ls[1].Name = "job" }),
		"index out of order":           spoilt(func(in *zstatsv1.Instance) { in.Samples[2].Idx = 1 }),
		"more samples announced":       spoilt(func(in *zstatsv1.Instance) { in.NSamples = 5 }),
		"type of several lines":        spoilt(func(in *zstatsv1.Instance) { in.Samples[0].Type = "gauge\nup 1" }),
		"no name":                      spoilt(func(in *zstatsv1.Instance) { in.Instance = "" }),
		"name with a line break":       spoilt(func(in *zstatsv1.Instance) { in.Instance = "h:1\r\nZs-Account: other" }),
		"name that is no UTF-8":        spoilt(func(in *zstatsv1.Instance) { in.Instance = "h\xff" }),
		"long name":                    spoilt(func(in *zstatsv1.Instance) { in.Instance = strings.Repeat("n", 2<<20) }),
	}
}

// TestRefusedBlobs: each goes to DEAD as it was sent, gets code 2, and what else is in the request is stored.
func TestRefusedBlobs(t *testing.T) {
	for name, in := range refusable() {
		t.Run(name, func(t *testing.T) {
			n := openNode(t, event.Limits{})
			clock := newClock()
			r := start(t, n, func(o *Options) { o.Now, o.Logger = clock.now, quietest() })
			wantCodes(t, r.send(t, newSource("good:1.j", 100, 4).next().full, in), 0, 2)
			n.wantRaw(t, "good:1.j f100")
			letters := n.messages(t, event.Dead)
			if len(letters) != 1 {
				t.Fatalf("%d dead letters, want 1", len(letters))
			}
			letter := new(eventpb.DeadLetter)
			if err := event.Unmarshal(letters[0].Data, letter); err != nil {
				t.Fatal(err)
			}
			if letter.Reason != deadRefused || letter.Detail == "" || letter.ReceivedUs != clock.micro() || !letter.Undecoded {
				t.Errorf("dead letter %v", letter)
			}
			if got := letters[0].Header[event.HeaderAccount]; got != testAccount {
				t.Errorf("dead letter of account %q, want %s", got, testAccount)
			}
			if diff := cmp.Diff(in, payload(t, letter)); diff != "" {
				t.Errorf("payload (-sent +kept):\n%.1000s", diff)
			}
			if got := r.metric("blobs_total", formFull, "refused"); got != 1 {
				t.Errorf("%v refused blobs counted, want 1", got)
			}
		})
	}
}

// payload returns the instance that a dead letter holds.
func payload(t *testing.T, letter *eventpb.DeadLetter) zstatsv1.Instance {
	t.Helper()
	var z zstatsv1.Decompressor
	value, err := z.Append(nil, bytes.NewReader(letter.Payload), 64<<20)
	if err != nil {
		t.Fatal(err)
	}
	d, err := zstatsv1.NewDecoder(zstatsv1.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	request, err := d.Decode(value)
	if err != nil {
		t.Fatal(err)
	}
	return request.IData[0]
}

// TestRefusedBesideCodeOne: a 2 would make the collector drop the blob with the 1.
func TestRefusedBesideCodeOne(t *testing.T) {
	n := openNode(t, event.Limits{})
	r := start(t, n, func(o *Options) { o.Logger = quietest() })
	bad := refusable()["label twice"]
	s := newSource("good:1.j", 100, 4)
	next := s.next()
	wantCodes(t, r.send(t, bad, next.incr), 0, 1)
	if got := len(n.messages(t, event.Dead)); got != 1 {
		t.Errorf("%d dead letters, want 1", got)
	}
	wantCodes(t, r.send(t, next.full), 0)
}

// TestDeadLettersThatCantBeStored: the collector keeps all of it, and what is stored already is a duplicate the next time.
func TestDeadLettersThatCantBeStored(t *testing.T) {
	n := openNode(t, event.Limits{})
	dead := &faultyLog{}
	r := start(t, n, func(o *Options) {
		dead.Appender = o.Dead
		o.Dead, o.Logger = dead, quietest()
	})
	dead.inject(fault{err: errFault})
	s := newSource("good:1.j", 100, 4)
	body := pack(refusable()["label twice"], s.next().full)
	wantKept(t, r.post(t, body))
	got, err := codesOf(r.post(t, body), 2)
	if err != nil {
		t.Fatal(err)
	}
	wantCodes(t, got, 2, 0)
	n.wantRaw(t, "good:1.j f100")
}

func TestTidy(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"plain", "plain"},
		{"", ""},
		{"a\r\nb", "a��b"},
		{"\xff\xfe", "��"},
		{"0123456789é", "0123456789"},
	} {
		if got := tidy(tt.in, 11); got != tt.want {
			t.Errorf("tidy(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

// TestStop: what is in flight is finished and answered, what comes later is not taken.
func TestStop(t *testing.T) {
	n := openNode(t, event.Limits{})
	w := &faultyLog{}
	inFlight, goOn := make(chan struct{}), make(chan struct{})
	w.called = func() { close(inFlight); <-goOn }
	r := start(t, n, func(o *Options) { w.Appender, o.Raw = o.Raw, w })
	s := newSource("h:1.j", 100, 4)
	var got []int8
	var err error
	var running sync.WaitGroup
	running.Go(func() {
		var a answer
		if a, err = r.try(r.request(t, reader(pack(s.next().full)))); err == nil {
			got, err = codesOf(a, 1)
		}
	})
	<-inFlight
	stopped := make(chan struct{})
	go func() { r.stop(); close(stopped) }()
	eventually.Succeeds(t, "ingest is stopping", func() error {
		if r.Ready() == nil {
			return errNotYet
		}
		return nil
	})
	select {
	case <-stopped:
		t.Error("Run has returned with a request in flight")
	default:
	}
	close(goOn)
	<-stopped
	running.Wait()
	if err != nil {
		t.Fatal(err)
	}
	wantCodes(t, got, 0)
	if _, err := r.try(r.request(t, reader(pack()))); err == nil {
		t.Error("a request after the end was answered")
	}
}

// TestStopCutsOff: requests that don't end in time are cut off; Run still waits for their handlers.
func TestStopCutsOff(t *testing.T) {
	n := openNode(t, event.Limits{})
	w := &faultyLog{}
	inFlight, goOn := make(chan struct{}), make(chan struct{})
	w.called = func() { close(inFlight); <-goOn }
	r := start(t, n, func(o *Options) { w.Appender, o.Raw, o.Logger = o.Raw, w, quietest() })
	r.timeouts.grace = time.Millisecond
	var running sync.WaitGroup
	running.Go(func() {
		if _, err := r.try(r.request(t, reader(pack(goodRequest().IData...)))); err == nil {
			t.Error("a request that was cut off has an answer")
		}
	})
	<-inFlight
	stopped := make(chan struct{})
	go func() { r.stop(); close(stopped) }()
	running.Wait() // its connection is cut
	select {
	case <-stopped:
		t.Error("Run has returned with a handler at work")
	default:
	}
	close(goOn)
	<-stopped
}

// TestListenerFails: Run reports it.
func TestListenerFails(t *testing.T) {
	n := openNode(t, event.Limits{})
	o := options(t)
	o.Listener = listen(t)
	o.Raw, o.Dead, o.Log, o.Marks = &faultyLog{}, &faultyLog{}, n.bus, n.marks
	i, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	o.Listener.Close()
	if err := i.Run(context.Background()); err == nil {
		t.Error("Run on a closed listener = nil, want an error")
	}
	if i.Ready() == nil {
		t.Error("ready after the end")
	}
}

func TestLocks(t *testing.T) {
	l := newLocks()
	release, err := l.acquire(context.Background(), []string{"a", "b", "c"})
	if err != nil {
		t.Fatal(err)
	}
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := l.acquire(canceled, []string{"0", "b"}); !errors.Is(err, context.Canceled) {
		t.Errorf("acquire of a held key = %v, want context.Canceled", err)
	}
	other, err := l.acquire(context.Background(), []string{"0", "d"})
	if err != nil {
		t.Fatal(err)
	}
	other()
	release()
	if len(l.held) > 0 {
		t.Errorf("%d keys are held by nobody", len(l.held))
	}
}

// TestLocksExclude: many users of overlapping keys never meet in one.
func TestLocksExclude(t *testing.T) {
	l := newLocks()
	keys := []string{"a", "b", "c", "d", "e"}
	users := make([]int, len(keys)) // guarded by the keys' locks; the race detector watches
	var running sync.WaitGroup
	for u := range 40 {
		running.Go(func() {
			for round := range 50 {
				from := (u + round) % len(keys)
				to := min(len(keys), from+1+u%3)
				release, err := l.acquire(context.Background(), keys[from:to])
				if err != nil {
					t.Error(err)
					return
				}
				for k := from; k < to; k++ {
					if users[k]++; users[k] != 1 {
						t.Errorf("key %s has %d users", keys[k], users[k])
					}
				}
				for k := from; k < to; k++ {
					users[k]--
				}
				release()
			}
		})
	}
	running.Wait()
	if len(l.held) > 0 {
		t.Errorf("%d keys are held by nobody", len(l.held))
	}
}

// TestHeadThatCantBeRead: a message without a head counts as none, so a full blob goes on.
func TestHeadThatCantBeRead(t *testing.T) {
	n := openNode(t, event.Limits{})
	r := start(t, n, func(o *Options) { o.Logger = quietest() })
	s := newSource("h:1.j", 100, 4)
	m := bus.Message{Subject: event.RawSubject(s.target(), bustest.Partitions), Header: event.TargetHeader(s.target())}
	if _, err := n.bus.Append(context.Background(), event.Raw, m); err != nil {
		t.Fatal(err)
	}
	next := s.next()
	wantCodes(t, r.send(t, next.incr), 1)
	wantCodes(t, r.send(t, next.full), 0)
	wantCodes(t, r.send(t, s.next().incr), 0)
}

// lostLog answers no question.
type lostLog struct{ Log }

func (lostLog) Last(context.Context, string, string) (m bus.Message, err error) {
	return m, fmt.Errorf("read: %w", errFault)
}

// TestHeadsThatCantBeAsked: without a head nothing can be judged.
func TestHeadsThatCantBeAsked(t *testing.T) {
	n := openNode(t, event.Limits{})
	r := start(t, n, func(o *Options) { o.Log = lostLog{n.bus} })
	wantKept(t, r.post(t, pack(goodRequest().IData...)))
	n.wantRaw(t)
	if got := r.metric("requests_total", string(outcomeLog)); got != 1 {
		t.Errorf("%v requests with outcome %s counted, want 1", got, outcomeLog)
	}
}
