package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"
)

const (
	// examineEvery is how often the server is looked at when it has logged no error.
	examineEvery = time.Second
	// minRest and maxRest bound the pause before a restart; it doubles while restarts don't help for a while.
	minRest = 250 * time.Millisecond
	maxRest = time.Minute
	// healed is how long a server must have gone well for its next failure to count as a new one.
	healed = 2 * time.Minute
)

// watch looks after the server until ctx ends.
func (s *Server) watch(ctx context.Context) {
	tick := time.NewTicker(examineEvery)
	defer tick.Stop()
	rest, since := minRest, time.Now()
	for {
		l, err := s.current()
		if err != nil {
			return // ctx has ended during a restart
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-l.wake:
		}
		err = l.examine()
		if err == nil || ctx.Err() != nil {
			continue
		}
		if time.Since(since) > healed {
			rest = minRest
		}
		rest = s.restart(ctx, l, err, rest)
		since = time.Now()
	}
}

// restart ends a life that has failed and begins another one when there is room, again and again until it is well or ctx ends. It
// returns the pause before the next restart.
func (s *Server) restart(ctx context.Context, l *life, cause error, rest time.Duration) time.Duration {
	s.o.Logger.Error("the log can't be written; the embedded NATS server is restarted as soon as there is room", zap.Error(cause))
	s.setDown(cause)
	if !s.await(ctx, l.end(cause)) {
		return rest
	}
	for pause(ctx, rest) {
		rest = min(2*rest, maxRest)
		if err := s.space.forRestart(); err != nil {
			s.setDown(fmt.Errorf("it could not write (%w) and waits: %w", cause, err))
			rest = min(rest, examineEvery) // to look costs nothing
			continue
		}
		next, err := s.begin(ctx)
		if err != nil {
			s.o.Logger.Warn("the embedded NATS server can't be restarted, trying again", zap.Duration("pause", rest), zap.Error(err))
			s.setDown(fmt.Errorf("it could not write (%w) and can't be restarted: %w", cause, err))
			continue
		}
		s.restarts.Inc()
		s.o.Logger.Info("the embedded NATS server runs again")
		s.mu.Lock()
		s.life, s.down = next, nil
		s.mu.Unlock()
		return rest
	}
	return rest
}

// begin starts a server and makes sure that it has recovered every stream.
func (s *Server) begin(ctx context.Context) (*life, error) {
	l, err := startLife(ctx, s.o, s.port)
	if err != nil {
		return nil, err
	}
	if err := l.health(); err != nil {
		s.await(ctx, l.end(err))
		return nil, err
	}
	return l, nil
}

// await waits for the end of a server, without which no other one may use its directory. It reports whether that has come before
// the end of ctx.
func (s *Server) await(ctx context.Context, ended <-chan struct{}) bool {
	select {
	case <-ended:
		return true
	case <-ctx.Done():
	}
	select {
	case <-ended:
	case <-time.After(s.o.CloseTimeout):
		s.o.Logger.Warn("the embedded NATS server has not ended in time and is left behind", zap.Duration("timeout", s.o.CloseTimeout))
	}
	return false
}

func (s *Server) setDown(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.life, s.down = nil, err
}

// ready reports why the log can't be used now, or nil.
func (s *Server) ready() error {
	l, err := s.current()
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.settled != nil {
		return errors.New("embedded NATS server has reported an error and is being examined")
	}
	return nil
}
