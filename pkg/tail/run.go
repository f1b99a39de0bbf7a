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
	Client *subscribe.Client
	// Request is what to follow. If Position is set, that is consumed instead, and each event acknowledged once it is shown.
	Request  *eventpb.SubscribeRequest
	Position *eventpb.OpenPosition
	View     View
	// Notes takes what is not data: that the connection was lost, and so on; a line each.
	Notes io.Writer
	// Count ends Run after that many events; 0 is no end.
	Count int
}

// Run shows events until ctx ends or Count is reached, and returns nil for both.
func Run(ctx context.Context, o Options) (err error) {
	s := &session{o: o}
	if o.Position != nil {
		err = o.Client.Consume(ctx, o.Position, s.update)
	} else {
		err = o.Client.Follow(ctx, o.Request, s.update)
	}
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}

// session is the state of one Run.
type session struct {
	o     Options
	shown int
	// opened is set once the position was open, lost while the connection is.
	opened, lost bool
}

func (s *session) update(u subscribe.Update) error {
	switch {
	case u.Event != nil:
		return s.event(u.Event)
	case u.Delivery != nil:
		return s.event(u.Delivery.GetEvent())
	case u.Gap != nil:
		return s.o.View.Gap(u.Gap)
	case u.Opened != nil:
		return s.open(u.Opened)
	case u.Started != nil:
		return s.again()
	case u.Lost != nil:
		s.lost = true
		return s.note("connection lost (%s), next attempt in %s", table.Clean(u.Lost.Err.Error()), u.Lost.Retry.Round(100*time.Millisecond))
	}
	return nil
}

// open notes what can't be seen from the events: a position that is new is perhaps a slip of the pen, and where to begin is
// not looked at when it is not.
func (s *session) open(o *eventpb.Opened) error {
	if err := s.again(); err != nil {
		return err
	}
	first := !s.opened
	s.opened = true
	switch name := s.o.Position.GetName(); {
	case first && o.GetCreated():
		return s.note("position %s is new", name)
	case o.GetCreated():
		return s.note("position %s was removed and is made anew, events may come again", name)
	case first && s.o.Position.GetFrom() != nil:
		return s.note("position %s goes on where it was; only a new one can begin elsewhere", name)
	}
	return nil
}

// again notes that a lost connection is there again.
func (s *session) again() error {
	if !s.lost {
		return nil
	}
	s.lost = false
	return s.note("connected again")
}

func (s *session) event(e *eventpb.ScrapeWritten) error {
	if err := s.o.View.Event(e); err != nil {
		return err
	}
	if s.shown++; s.shown == s.o.Count {
		return subscribe.ErrDone
	}
	return nil
}

func (s *session) note(format string, args ...any) error {
	_, err := fmt.Fprintf(s.o.Notes, format+"\n", args...)
	return err
}
