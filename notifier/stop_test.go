package notifier

import (
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/bus/bustest"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/event/eventpb"
)

// The notifier stops while it sends to readers, and to some that don't read.
func TestStopUnderLoad(t *testing.T) {
	b := bustest.Open(t)
	n := serve(t, Options{Log: b})
	small := []grpc.DialOption{grpc.WithStaticStreamWindowSize(64 << 10), grpc.WithStaticConnWindowSize(64 << 10)}
	for range 2 {
		subscribe(t, dial(t, n, small...), &eventpb.SubscribeRequest{})
	}
	var readers sync.WaitGroup
	var ready sync.WaitGroup
	for range 4 {
		s, _ := subscribe(t, dial(t, n), &eventpb.SubscribeRequest{})
		ready.Add(1)
		readers.Go(func() {
			var err error
			for count := 0; err == nil; count++ {
				if _, err = s.Recv(); count == 300 {
					ready.Done()
				}
			}
			if status.Code(err) != codes.Unavailable {
				t.Errorf("a reader ended with %v, want Unavailable", err)
			}
		})
	}
	done := make(chan struct{})
	var load sync.WaitGroup
	load.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				publish(t, b, repeat(target("acme", "a.j"), 200)...)
			}
		}
	})
	ready.Wait()
	n.stop()
	readers.Wait()
	close(done)
	load.Wait()
	if got := n.subs.count(); got != 0 {
		t.Errorf("%d subscribers are left", got)
	}
}

// Subscriptions end when the log goes away, and the notifier stops without it.
func TestLogGone(t *testing.T) {
	server := bustest.Serve(t, bus.ServerOptions{})
	n := serve(t, Options{Log: bustest.Connect(t, server, event.Limits{})})
	c := dial(t, n)
	s, _ := subscribe(t, c, &eventpb.SubscribeRequest{})
	server.Close()
	var err error
	for err == nil {
		_, err = s.Recv()
	}
	if status.Code(err) != codes.Unavailable {
		t.Errorf("the subscription ended with %v, want Unavailable", err)
	}
	s, err = eventpb.NewNotifierClient(c).Subscribe(t.Context(), &eventpb.SubscribeRequest{})
	if err == nil {
		_, err = s.Recv()
	}
	if status.Code(err) != codes.Unavailable {
		t.Errorf("a new subscription gets %v, want Unavailable", err)
	}
	n.stop()
}
