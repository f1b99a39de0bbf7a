package tail

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/zstats/zstats/pkg/event/eventpb"
	"github.com/zstats/zstats/pkg/subscribe"
	"github.com/zstats/zstats/pkg/table"
)

// View shows events and gaps.
type View interface {
	Event(e *eventpb.ScrapeWritten) error
	// Gap shows that the events from one sequence to another may be missing.
	Gap(g *eventpb.Gap) error
}

// Options say what Run follows and where it shows it.
type Options struct {
	Client  *subscribe.Client
	Request *eventpb.SubscribeRequest
	View    View
	// Notes takes what is not data: that the connection was lost, and so on; a line each.
	Notes io.Writer
	// Count ends Run after that many events; 0 is no end.
	Count int
}

// errDone ends the following from within.
var errDone = errors.New("all events that were asked for are shown")

// Run shows events until ctx ends or Count is reached, and returns nil for both.
func Run(ctx context.Context, o Options) error {
	s := &session{o: o}
	err := o.Client.Follow(ctx, o.Request, s.update)
	if errors.Is(err, errDone) || ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}

// session is the state of one Run.
type session struct {
	o     Options
	shown int
	lost  bool
}

func (s *session) update(u subscribe.Update) error {
	switch {
	case u.Event != nil:
		return s.event(u.Event)
	case u.Gap != nil:
		return s.o.View.Gap(u.Gap)
	case u.Started != nil && s.lost:
		s.lost = false
		return s.note("connected again")
	case u.Lost != nil:
		s.lost = true
		return s.note("connection lost (%s), next attempt in %s", table.Clean(u.Lost.Err.Error()), u.Lost.Retry.Round(100*time.Millisecond))
	}
	return nil
}

func (s *session) event(e *eventpb.ScrapeWritten) error {
	if err := s.o.View.Event(e); err != nil {
		return err
	}
	if s.shown++; s.shown == s.o.Count {
		return errDone
	}
	return nil
}

func (s *session) note(format string, args ...any) error {
	_, err := fmt.Fprintf(s.o.Notes, format+"\n", args...)
	return err
}
