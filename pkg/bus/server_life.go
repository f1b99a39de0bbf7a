package bus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"go.uber.org/zap"
)

// life is an embedded server from its start to its end.
//
// What JetStream shows to readers may not be on disk yet: a consumer sees the messages of a batch before the batch is synced, and
// if syncing fails, all of memory goes on showing them until the restart takes them away. Whoever believed them would be
// wrong afterwards: an ingest that calls a blob a duplicate of one that is gone has lost it. So a life knows how far each stream is
// surely durable, see durable, and whether anything may be wrong, see sound.
type life struct {
	server *server.Server
	// over ends when the life does; its cause says why.
	over context.Context
	kill context.CancelCauseFunc
	wake chan struct{} // tells the watch to look at once

	findings int // of examine in a row, by the goroutine that calls it

	mu      sync.Mutex // guards what follows; held by nobody who waits
	doubts  int        // errors that the server has logged
	settled chan struct{}
	marks   map[string]*mark // by stream
}

// mark says up to which sequence a stream is durable.
type mark struct {
	sequence uint64
	moved    chan struct{} // closed when it has
}

// startLife starts a server and waits until it has recovered its streams, or ctx ends. If it is to listen at all, it does so on
// the port, or on any if that is 0.
func startLife(ctx context.Context, o ServerOptions, port int) (*life, error) {
	if port == 0 {
		port = server.RANDOM_PORT
	}
	s, err := server.NewServer(&server.Options{
		ServerName:         "zstats",
		DontListen:         o.Token == "",
		Host:               loopback,
		Port:               port,
		Authorization:      o.Token,
		JetStream:          true,
		StoreDir:           o.Dir,
		SyncAlways:         true,
		JetStreamMaxMemory: 64 << 20,
		JetStreamMaxStore:  1 << 62, // trimming and the streams' own limits bound the store
		MaxPending:         512 << 20,
		NoSigs:             true,
	})
	if err != nil {
		return nil, err
	}
	over, kill := context.WithCancelCause(context.Background())
	l := &life{server: s, over: over, kill: kill, wake: make(chan struct{}, 1), marks: make(map[string]*mark)}
	fatal := make(chan error, 1)
	s.SetLoggerV2(serverLog{log: o.Logger.Sugar(), fatal: fatal, failed: l.doubt}, false, false, false)
	s.Start()
	if err := l.awaitReady(ctx, fatal, o.ReadyTimeout); err != nil {
		select {
		case <-l.end(err):
		case <-time.After(o.CloseTimeout):
		}
		return nil, err
	}
	return l, nil
}

// awaitReady waits until the server takes connections and JetStream has recovered its streams.
func (l *life) awaitReady(ctx context.Context, fatal <-chan error, within time.Duration) error {
	for end := time.Now().Add(within); time.Now().Before(end); {
		select {
		case err := <-fatal:
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		default:
		}
		if l.server.ReadyForConnections(50*time.Millisecond) && l.server.JetStreamEnabled() {
			return nil
		}
	}
	return fmt.Errorf("not ready within %s", within)
}

// end ends the life because of err. The result is closed once the server has ended.
func (l *life) end(err error) <-chan struct{} {
	l.kill(err)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		l.server.Shutdown()
		l.server.WaitForShutdown()
	}()
	return ended
}

// doubt notes that the server has logged an error. It is called in the middle of what failed, with the server's locks held, so
// before anybody can read what was not stored.
func (l *life) doubt() {
	l.mu.Lock()
	l.doubts++
	if l.settled == nil {
		l.settled = make(chan struct{})
	}
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default: // it was told already
	}
}

// sound returns nil if nothing is wrong with the server. While that is in doubt it waits.
func (l *life) sound(ctx context.Context) error {
	for {
		if l.over.Err() != nil {
			return fmt.Errorf("embedded NATS server has ended: %w", context.Cause(l.over))
		}
		l.mu.Lock()
		settled := l.settled
		l.mu.Unlock()
		if settled == nil {
			return nil
		}
		select {
		case <-settled:
		case <-l.over.Done():
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// examine looks into all streams. It returns an error if one of them can't store, and settles the doubts otherwise. Where there is
// no doubt it returns one only when it is called for the third time: a stream that is just being made looks like one that
// was lost.
func (l *life) examine() error {
	l.mu.Lock()
	doubts, doubted := l.doubts, l.settled != nil
	l.mu.Unlock()
	err := l.health()
	if err == nil {
		l.findings = 0
		l.settle(doubts)
		return nil
	}
	l.findings++
	if !doubted && l.findings < examinations {
		return nil
	}
	return err
}

const (
	// examinations is how often in a row something must be found.
	examinations    = 3
	examinationRest = 10 * time.Millisecond
)

// health returns what is wrong with the server or one of its streams.
func (l *life) health() error {
	return foundEachTime(l.over, func() error {
		if h := l.server.Healthz(nil); h.Error != "" {
			return errors.New(h.Error)
		}
		return nil
	})
}

// foundEachTime returns what look finds, if it does so as often as it is asked: the server gives itself a millisecond to answer, so
// on a busy machine it may look for a moment as if it had not started.
func foundEachTime(ctx context.Context, look func() error) error {
	for i := 1; ; i++ {
		err := look()
		if err == nil || i == examinations || !pause(ctx, examinationRest) {
			return err
		}
	}
}

// settle ends the doubts if there were no more than so many.
func (l *life) settle(doubts int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.settled != nil && l.doubts == doubts {
		close(l.settled)
		l.settled = nil
	}
}

// stored notes that a stream is durable up to a sequence.
func (l *life) stored(stream string, sequence uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := l.mark(stream)
	if sequence > m.sequence {
		m.sequence = sequence
		close(m.moved)
		m.moved = make(chan struct{})
	}
}

func (l *life) mark(stream string) *mark {
	m := l.marks[stream]
	if m == nil {
		m = &mark{moved: make(chan struct{})}
		l.marks[stream] = m
	}
	return m
}

// askAfter is how long a reader waits for the acknowledgement of what it has read, before it finds out itself.
const askAfter = 50 * time.Millisecond

// durable waits until a stream is durable up to a sequence. ask finds out how far it is.
func (l *life) durable(ctx context.Context, stream string, sequence uint64, ask func(context.Context) (uint64, error)) error {
	for {
		l.mu.Lock()
		m := l.mark(stream)
		done, moved := m.sequence >= sequence, m.moved
		l.mu.Unlock()
		if done {
			return nil
		}
		if err := l.awaitMove(ctx, moved); !errors.Is(err, errNotMoved) {
			if err != nil {
				return err
			}
			continue
		}
		last, err := ask(ctx)
		if err != nil {
			return err
		}
		if last < sequence {
			return fmt.Errorf("%s ends at %d, before message %d, which was read from it", stream, last, sequence)
		}
		l.stored(stream, last)
	}
}

var errNotMoved = errors.New("not moved")

func (l *life) awaitMove(ctx context.Context, moved <-chan struct{}) error {
	t := time.NewTimer(askAfter)
	defer t.Stop()
	select {
	case <-moved:
		return nil
	case <-t.C:
		return errNotMoved
	case <-l.over.Done():
		return l.sound(ctx)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// serverLog passes the server's log on, errors to whoever watches, and what would end the server to whoever starts it.
type serverLog struct {
	log    *zap.SugaredLogger
	fatal  chan<- error
	failed func()
}

func (l serverLog) Noticef(format string, v ...any) { l.log.Debugf(format, v...) }
func (l serverLog) Warnf(format string, v ...any)   { l.log.Warnf(format, v...) }
func (l serverLog) Fatalf(format string, v ...any) {
	l.failed()
	l.log.Errorf(format, v...)
	select {
	case l.fatal <- fmt.Errorf(format, v...):
	default: // the first one counts
	}
}
func (l serverLog) Errorf(format string, v ...any) {
	l.failed()
	l.log.Errorf(format, v...)
}
func (l serverLog) Debugf(format string, v ...any) { l.log.Debugf(format, v...) }
func (l serverLog) Tracef(format string, v ...any) {}
