package push

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/bus/bustest"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/event/eventpb"
	pb "github.com/zstats/zstats/pkg/event/stingestproto"
	"github.com/zstats/zstats/pkg/scrape"
	"github.com/zstats/zstats/test/eventually"
	"github.com/zstats/zstats/test/freeaddr"
)

var acme = scrape.Target{Account: "acme", Name: "10.0.0.1:9100.node"}

// The service is told what the older server told it.
func TestPushes(t *testing.T) {
	b, d := openLog(t), serveDownstream(t, "")
	other := scrape.Target{Account: "Zebrium", Source: "east", Name: "db.j"}
	publish(t, b, acme, 7, 7)
	publish(t, b, other, 8, 8)
	start(t, b, d.addr)
	untilDone(t, b)
	want := []*pb.StatsIngestRequest{
		{
			Account: "Zebrium", DFpath: "/srv/stats/Zebrium/db.j/8/8.data.gz", MFpath: "/srv/stats/Zebrium/db.j/8/8.json",
			InstanceId: "db.j", Type: "prometheus", DTs: 1008,
		},
		{
			Account: "acme", DFpath: "/srv/stats/acme/10.0.0.1:9100.node/7/7.data.gz", MFpath: "/srv/stats/acme/10.0.0.1:9100.node/7/7.json",
			InstanceId: "10.0.0.1:9100.node", Type: "prometheus", DTs: 1007,
		},
	}
	if diff := cmp.Diff(want, d.all(), protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
}

// A service with TLS is called once its certificate can be verified, and told of nothing before.
func TestTLS(t *testing.T) {
	// Its certificate is for 127.0.0.1.
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	b, d := openLog(t), serveDownstream(t, "", grpc.Creds(credentials.NewServerTLSFromCert(&s.TLS.Certificates[0])))
	publish(t, b, acme, 1, 3)
	for name, config := range map[string]*tls.Config{"in plain text": nil, "with another authority": {RootCAs: x509.NewCertPool()}} {
		p := startWith(t, Options{Addr: d.addr, TLS: config, Log: b})
		eventually.Succeeds(t, "the service is known to be out of reach "+name, func() error {
			if n := testutil.ToFloat64(p.metrics.calls.WithLabelValues(unavailable.String())); n == 0 {
				return errors.New("no call has failed")
			}
			return nil
		})
		p.stop()
	}
	if taken, calls := d.has(); calls > 0 {
		t.Errorf("%d files were taken in %d calls of somebody who can't verify the service", taken, calls)
	}
	startWith(t, Options{Addr: d.addr, TLS: &tls.Config{RootCAs: roots}, Log: b})
	untilDone(t, b)
	if taken, calls := d.has(); taken != 3 || calls != 3 {
		t.Errorf("%d files were taken in %d calls, want 3 in 3", taken, calls)
	}
}

// What was written while the pusher was away is pushed when it is back, and nothing else is pushed again.
func TestGoesOn(t *testing.T) {
	b, d := openLog(t), serveDownstream(t, "")
	p := start(t, b, d.addr)
	publish(t, b, acme, 1, 5)
	untilDone(t, b)
	p.stop()
	publish(t, b, acme, 6, 9)
	start(t, b, d.addr)
	untilDone(t, b)
	if taken, calls := d.has(); taken != 9 || calls != 9 {
		t.Errorf("%d files were taken in %d calls, want 9 in 9", taken, calls)
	}
}

// Two pushers share the work.
func TestShare(t *testing.T) {
	b, d := openLog(t), serveDownstream(t, "")
	start(t, b, d.addr)
	start(t, b, d.addr)
	publish(t, b, acme, 1, 300)
	untilDone(t, b)
	if taken, calls := d.has(); taken != 300 || calls != 300 {
		t.Errorf("%d files were taken in %d calls, want 300 in 300", taken, calls)
	}
}

// A service that can't be reached gets everything once it can.
func TestServiceAway(t *testing.T) {
	b, addr := openLog(t), freeaddr.One(t)
	p := start(t, b, addr)
	publish(t, b, acme, 1, 50)
	eventually.Succeeds(t, "the service is known to be away", func() error { return gauge(p, 0) })
	back := serveDownstream(t, addr)
	untilDone(t, b)
	if err := gauge(p, 1); err != nil {
		t.Error(err)
	}
	if taken, _ := back.has(); taken != 50 {
		t.Errorf("%d of 50 were taken", taken)
	}
}

func gauge(p running, want float64) error {
	if have := testutil.ToFloat64(p.metrics.up); have != want {
		return fmt.Errorf("zstats_push_up is %v, want %v", have, want)
	}
	return nil
}

// What an answer makes of an event.
func TestAnswers(t *testing.T) {
	failing := func(c codes.Code) answer {
		return func(context.Context, *pb.StatsIngestRequest, int) (*pb.StatsIngestResponse, error) {
			return nil, status.Error(c, "no")
		}
	}
	answering := func(c pb.StatsIngestErrorCode) answer {
		return func(context.Context, *pb.StatsIngestRequest, int) (*pb.StatsIngestResponse, error) { return code(c) }
	}
	for _, tt := range []struct {
		name    string
		first   answer // of the first three attempts; then OK
		outcome outcome
		again   bool
	}{
		{"OK", answering(pb.StatsIngestErrorCode_OK), taken, false},
		{"STINVALID_REQ", answering(pb.StatsIngestErrorCode_STINVALID_REQ), refused, false},
		{"STINGEST_FAILED", answering(pb.StatsIngestErrorCode_STINGEST_FAILED), failed, true},
		{"STNOT_READY", answering(pb.StatsIngestErrorCode_STNOT_READY), unavailable, true},
		{"a code that isn't known", answering(77), failed, true},
		{"INVALID_ARGUMENT", failing(codes.InvalidArgument), refused, false},
		{"UNKNOWN", failing(codes.Unknown), failed, true},
		{"INTERNAL", failing(codes.Internal), failed, true},
		{"CANCELLED", failing(codes.Canceled), failed, true},
		{"UNAVAILABLE", failing(codes.Unavailable), unavailable, true},
		{"UNIMPLEMENTED", failing(codes.Unimplemented), unavailable, true},
		{"PERMISSION_DENIED", failing(codes.PermissionDenied), unavailable, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel() // most of it is waiting
			b, d := openLog(t), serveDownstream(t, "")
			d.set(func(ctx context.Context, r *pb.StatsIngestRequest, attempt int) (*pb.StatsIngestResponse, error) {
				if attempt > 3 {
					return code(pb.StatsIngestErrorCode_OK)
				}
				return tt.first(ctx, r, attempt)
			})
			p := start(t, b, d.addr)
			publish(t, b, acme, 1, 1)
			untilDone(t, b)
			want := 1
			if tt.again {
				want = 4
			}
			if _, calls := d.has(); calls != want {
				t.Errorf("%d calls, want %d", calls, want)
			}
			first := testutil.ToFloat64(p.metrics.calls.WithLabelValues(tt.outcome.String()))
			if want := float64(min(want, 3)); first != want {
				t.Errorf("%v calls are counted as %s, want %v", first, tt.outcome, want)
			}
		})
	}
}

// An event that the service fails to take holds up no other.
func TestFailedAlone(t *testing.T) {
	b, d := openLog(t), serveDownstream(t, "")
	bad := "/srv/stats/" + dataPath(acme, 2)
	d.set(func(_ context.Context, r *pb.StatsIngestRequest, _ int) (*pb.StatsIngestResponse, error) {
		if r.GetDFpath() == bad {
			return code(pb.StatsIngestErrorCode_STINGEST_FAILED)
		}
		return code(pb.StatsIngestErrorCode_OK)
	})
	p := start(t, b, d.addr)
	publish(t, b, acme, 1, 100)
	untilTaken(t, d, 99)
	if err := gauge(p, 1); err != nil {
		t.Error(err)
	}
	d.set(nil)
	untilDone(t, b)
	untilTaken(t, d, 100)
}

// An event that the service fails to take again and again while it takes others is left aside.
func TestGivesUp(t *testing.T) {
	b, d := openLog(t), serveDownstream(t, "")
	bad := "/srv/stats/" + dataPath(acme, 1)
	d.set(func(_ context.Context, r *pb.StatsIngestRequest, _ int) (*pb.StatsIngestResponse, error) {
		if r.GetDFpath() == bad {
			return code(pb.StatsIngestErrorCode_STINGEST_FAILED)
		}
		return code(pb.StatsIngestErrorCode_OK)
	})
	p := start(t, b, d.addr, func(p *Pusher) { p.failures.most = 3 })
	publish(t, b, acme, 1, 1)
	triedAgain := func() {
		t.Helper()
		want := d.attemptsOf(bad) + 5
		eventually.Succeeds(t, "the bad one is tried again and again", func() error {
			if d.attemptsOf(bad) < want {
				return errors.New("not yet")
			}
			return nil
		})
	}
	triedAgain() // nothing else is taken: the service may be what is wrong
	publish(t, b, acme, 2, 2)
	untilTaken(t, d, 1)
	triedAgain() // two failures count
	publish(t, b, acme, 3, 3)
	untilTaken(t, d, 2)
	untilDone(t, b)
	if n := testutil.ToFloat64(p.metrics.calls.WithLabelValues("given_up")); n != 1 {
		t.Errorf("%v events are counted as given up", n)
	}
}

func TestFailures(t *testing.T) {
	never, err := newFailures(0)
	if err != nil {
		t.Fatal(err)
	}
	f, err := newFailures(2)
	if err != nil {
		t.Fatal(err)
	}
	for i, step := range []struct {
		sequence uint64
		o, want  outcome
	}{
		{1, failed, failed},
		{1, failed, failed}, // nothing was taken in between
		{2, taken, taken},
		{1, unavailable, unavailable},
		{3, failed, failed},
		{1, failed, givenUp},
		{1, failed, failed}, // it comes from elsewhere once more
		{3, taken, taken},
		{3, failed, failed},
		{4, refused, refused},
		{3, failed, failed}, // what is refused is not taken
	} {
		if have := f.judge(step.sequence, step.o); have != step.want {
			t.Errorf("step %d: %s of event %d is %s, want %s", i, step.o, step.sequence, have, step.want)
		}
		if have := never.judge(step.sequence, step.o); have != step.o {
			t.Errorf("step %d: %s is %s where nothing is given up", i, step.o, have)
		}
	}
}

// A service that is not ready is asked by one call at a time, and gets everything once it is.
func TestNotReady(t *testing.T) {
	b, d := openLog(t), serveDownstream(t, "")
	ready := make(chan struct{})
	d.set(func(context.Context, *pb.StatsIngestRequest, int) (*pb.StatsIngestResponse, error) {
		select {
		case <-ready:
			return code(pb.StatsIngestErrorCode_OK)
		default:
			return code(pb.StatsIngestErrorCode_STNOT_READY)
		}
	})
	p := start(t, b, d.addr)
	publish(t, b, acme, 1, 1)
	eventually.Succeeds(t, "the service is known to take nothing", func() error { return gauge(p, 0) })
	d.mu.Lock()
	d.max = 0
	d.mu.Unlock()
	publish(t, b, acme, 2, 200)
	_, before := d.has()
	eventually.Succeeds(t, "it is asked again", func() error {
		if _, calls := d.has(); calls < before+5 {
			return errors.New("fewer than five times")
		}
		return nil
	})
	if _, most := d.running(); most > 1 {
		t.Errorf("%d calls at once", most)
	}
	close(ready)
	untilDone(t, b)
	untilTaken(t, d, 200)
}

// A call that gets no answer in time is made again, and holds up no other.
func TestTimeout(t *testing.T) {
	b, d := openLog(t), serveDownstream(t, "")
	d.set(func(ctx context.Context, r *pb.StatsIngestRequest, _ int) (*pb.StatsIngestResponse, error) {
		if r.GetDFpath() == "/srv/stats/"+dataPath(acme, 1) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return code(pb.StatsIngestErrorCode_OK)
	})
	p := start(t, b, d.addr, func(p *Pusher) { p.o.Timeout = 50 * time.Millisecond })
	publish(t, b, acme, 1, 10)
	untilTaken(t, d, 9)
	eventually.Succeeds(t, "the one that hangs is tried again", func() error {
		if d.attemptsOf("/srv/stats/"+dataPath(acme, 1)) < 3 {
			return errors.New("not yet")
		}
		return gauge(p, 1)
	})
	publish(t, b, acme, 11, 20)
	untilTaken(t, d, 19)
	d.set(nil)
	untilTaken(t, d, 20)
	untilDone(t, b)
}

// There are never more calls at one time than were asked for, and calls that take long are not made twice: the log is told of them.
func TestConcurrency(t *testing.T) {
	s := bustest.Serve(t, bus.ServerOptions{})
	b, d := bustest.Connect(t, s, event.Limits{}), serveDownstream(t, "")
	kept := bustest.Kept(t, s)
	openPosition(t, b)
	release := make(chan struct{})
	d.set(func(context.Context, *pb.StatsIngestRequest, int) (*pb.StatsIngestResponse, error) {
		<-release
		return code(pb.StatsIngestErrorCode_OK)
	})
	p := start(t, b, d.addr, func(p *Pusher) { p.held.limit = 3 })
	publish(t, b, acme, 1, 20)
	eventually.Succeeds(t, "calls are under way", func() error {
		if now, _ := d.running(); now < 3 || p.held.count() != 3 {
			return fmt.Errorf("%d are", now)
		}
		return nil
	})
	eventually.Succeeds(t, "the log is told of each, more than once", func() error {
		if all := kept(); len(all) != 3 || slices.Min(slices.Collect(maps.Values(all))) < 3 {
			return fmt.Errorf("of %v", all)
		}
		return nil
	})
	close(release)
	untilDone(t, b)
	if _, most := d.running(); most != 3 {
		t.Errorf("%d calls at once, want 3", most)
	}
	if taken, calls := d.has(); taken != 20 || calls != 20 {
		t.Errorf("%d files were taken in %d calls, want 20 in 20", taken, calls)
	}
}

// A stop lets the calls end that are under way.
func TestStopWaits(t *testing.T) {
	b, d := openLog(t), serveDownstream(t, "")
	called, release := make(chan struct{}), make(chan struct{})
	d.set(func(context.Context, *pb.StatsIngestRequest, int) (*pb.StatsIngestResponse, error) {
		close(called)
		<-release
		return code(pb.StatsIngestErrorCode_OK)
	})
	p := start(t, b, d.addr)
	publish(t, b, acme, 1, 1)
	<-called
	stopped := make(chan struct{})
	go func() { p.stop(); close(stopped) }()
	close(release)
	<-stopped
	untilDone(t, b)
}

// A stop gives up calls that don't end, and the next pusher makes them again.
func TestStopGivesUp(t *testing.T) {
	b, d := openLog(t), serveDownstream(t, "")
	called := make(chan struct{})
	d.set(func(ctx context.Context, _ *pb.StatsIngestRequest, attempt int) (*pb.StatsIngestResponse, error) {
		if attempt > 1 {
			return code(pb.StatsIngestErrorCode_OK)
		}
		close(called)
		<-ctx.Done()
		return nil, ctx.Err()
	})
	p := start(t, b, d.addr, func(p *Pusher) { p.pace.grace = 0 })
	publish(t, b, acme, 1, 1)
	<-called
	p.stop()
	start(t, b, d.addr)
	untilDone(t, b)
	if taken, calls := d.has(); taken != 1 || calls != 2 {
		t.Errorf("%d files were taken in %d calls, want 1 in 2", taken, calls)
	}
}

// What nobody can read is left aside.
func TestUndecodable(t *testing.T) {
	b, d := openLog(t), serveDownstream(t, "")
	m := written(t, acme, 1)
	m.Data = []byte("no event")
	if _, err := b.Append(t.Context(), event.Events, m); err != nil {
		t.Fatal(err)
	}
	publish(t, b, acme, 2, 2)
	p := start(t, b, d.addr)
	untilDone(t, b)
	if taken, calls := d.has(); taken != 1 || calls != 1 {
		t.Errorf("%d files were taken in %d calls, want 1 in 1", taken, calls)
	}
	if n := testutil.ToFloat64(p.metrics.undecodable); n != 1 {
		t.Errorf("%v are counted", n)
	}
}

// Events that were removed before they could be pushed are counted, once.
func TestMissed(t *testing.T) {
	b, d := openLog(t), serveDownstream(t, "")
	publish(t, b, acme, 1, 5)
	trim(t, b)
	p := start(t, b, d.addr)
	publish(t, b, acme, 6, 6)
	untilTaken(t, d, 1)
	eventually.Succeeds(t, "what is missing is counted", func() error {
		if n := testutil.ToFloat64(p.metrics.missed); n != 5 {
			return fmt.Errorf("%v are", n)
		}
		return nil
	})
	if g := position(t, b).Gap; g != (bus.Gap{}) {
		t.Errorf("the gap is still %+v", g)
	}
}

// trim removes all events that were written so far.
func trim(t *testing.T, b *bus.Bus) {
	t.Helper()
	data, err := event.Marshal(&eventpb.Checkpoint{Worker: "w"})
	if err != nil {
		t.Fatal(err)
	}
	at, err := b.Append(t.Context(), event.Events, bus.Message{Subject: event.CheckpointSubject(event.StageWriter, 0), Data: data})
	if err != nil {
		t.Fatal(err)
	}
	trimmer, err := bus.NewTrimmer(bus.TrimmerOptions{
		Bus: b, Partitions: bustest.Partitions, Every: time.Millisecond,
		Rules: []bus.TrimRule{{Stream: event.Events, HeldAge: time.Nanosecond, Writer: event.StageWriter}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- trimmer.Run(ctx) }()
	eventually.Succeeds(t, "events are removed", func() error {
		first, _, err := b.Bounds(t.Context(), event.Events)
		if err == nil && first != at[0] {
			err = fmt.Errorf("the first is %d", first)
		}
		return err
	})
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

// A position that was removed is made anew: the service is told of what comes from then on.
func TestPositionRemoved(t *testing.T) {
	b, d := openLog(t), serveDownstream(t, "")
	d.set(func(context.Context, *pb.StatsIngestRequest, int) (*pb.StatsIngestResponse, error) {
		return code(pb.StatsIngestErrorCode_STINGEST_FAILED)
	})
	start(t, b, d.addr)
	publish(t, b, acme, 1, 5)
	eventually.Succeeds(t, "calls are made", func() error {
		if _, calls := d.has(); calls < 5 {
			return fmt.Errorf("%d are", calls)
		}
		return nil
	})
	if err := b.RemovePosition(t.Context(), bus.PositionKey{Name: PositionName}); err != nil {
		t.Fatal(err)
	}
	eventually.Succeeds(t, "the position is back", func() error {
		all, err := b.Positions(t.Context())
		if err == nil && (len(all) != 1 || all[0].Acked != 5) {
			err = fmt.Errorf("positions %+v", all)
		}
		return err
	})
	d.set(nil)
	publish(t, b, acme, 6, 7)
	untilTaken(t, d, 2)
	untilDone(t, b)
	if taken, _ := d.has(); taken != 2 {
		t.Errorf("%d files were taken, want the two new ones", taken)
	}
}

func TestValidate(t *testing.T) {
	good := Options{Addr: "stats.example:5300", Timeout: time.Minute, Concurrency: 512, Attempts: 1000}
	for _, tt := range []struct {
		name   string
		change func(*Options)
		ok     bool
	}{
		{"good", func(*Options) {}, true},
		{"an address of version 6", func(o *Options) { o.Addr = "[::1]:5300" }, true},
		{"no end", func(o *Options) { o.Attempts = 0 }, true},
		{"no port", func(o *Options) { o.Addr = "stats.example" }, false},
		{"empty port", func(o *Options) { o.Addr = "stats.example:" }, false},
		{"a port that can't be", func(o *Options) { o.Addr = "stats.example:99999" }, false},
		{"port 0", func(o *Options) { o.Addr = "stats.example:0" }, false},
		{"a port that is none", func(o *Options) { o.Addr = "stats.example:abc" }, false},
		{"no host", func(o *Options) { o.Addr = ":5300" }, false},
		{"no time", func(o *Options) { o.Timeout = 0 }, false},
		{"too much time", func(o *Options) { o.Timeout = 2 * time.Hour }, false},
		{"no calls", func(o *Options) { o.Concurrency = 0 }, false},
		{"too many calls", func(o *Options) { o.Concurrency = MaxConcurrency + 1 }, false},
		{"less than no attempts", func(o *Options) { o.Attempts = -1 }, false},
	} {
		o := good
		tt.change(&o)
		if err := o.Validate(); (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	if _, err := New(good); err == nil {
		t.Error("no log, no error")
	}
}

func TestAgain(t *testing.T) {
	p := &Pusher{pace: defaultPace()}
	for attempt, want := range map[uint64]time.Duration{
		0: time.Second, 1: time.Second, 2: 2 * time.Second, 6: 32 * time.Second, 7: time.Minute, 1 << 60: time.Minute,
	} {
		if have := p.again(attempt); have != want {
			t.Errorf("after attempt %d: %s, want %s", attempt, have, want)
		}
	}
}

func TestHoldOnce(t *testing.T) {
	h := newHeld(2)
	first, second := bus.Delivered{Attempt: 1}, bus.Delivered{Attempt: 2}
	first.Sequence, second.Sequence = 9, 9
	if !h.hold(first) || h.hold(second) {
		t.Error("an event is held twice")
	}
	if d := h.drop(9); d.Attempt != 2 || h.count() != 0 || h.free() != 2 {
		t.Errorf("dropped %+v, %d are left", d, h.count())
	}
}
