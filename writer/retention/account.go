package retention

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"go.uber.org/zap"

	"github.com/zstats/zstats/pkg/archive"
	"github.com/zstats/zstats/pkg/scrape"
)

// atOnce is how many scrapes are removed as one group. That costs one sync, which beside busy writers may take a second; and a
// stop waits for the group.
const atOnce = 2048

// account is one account in one pass.
type account struct {
	r      *Retention
	name   string
	dir    string
	limits Limits
	look   func(context.Context, scrape.Target) (Acked, error)

	total     int64 // bytes of what neither is to go nor is held
	held      int   // scrapes that are over a limit and stay
	heldBytes int64
	oldest    int64 // epoch of the oldest of these; 0 if there is none
	group     []victim
}

// victim is a scrape that is to go.
type victim struct {
	place  string
	bytes  int64
	reason string
}

// pass removes what is over the account's limits.
func (a *account) pass(ctx context.Context) error {
	shelves, err := a.shelves(ctx)
	if err != nil {
		return err
	}
	for _, s := range shelves {
		a.total += s.bytes()
	}
	l := newLine(shelves)
	for {
		s, b, ok := l.first()
		if !ok {
			break
		}
		reason := a.over(b)
		if reason == "" {
			break // all others are younger
		}
		l.skip()
		a.total -= b.bytes
		if err := a.judge(ctx, s, b, reason); err != nil {
			return errors.Join(err, a.remove())
		}
	}
	if err := a.remove(); err != nil {
		return err
	}
	a.report(shelves, l)
	return nil
}

// shelves lists the account's targets and their scrapes, and measures those that are new if bytes count.
func (a *account) shelves(ctx context.Context) ([]*shelf, error) {
	dirs, err := archive.TargetDirs(a.r.files, a.dir)
	if err != nil {
		return nil, err
	}
	before, now := a.r.shelves[a.name], make(map[string]*shelf, len(dirs))
	all := make([]*shelf, 0, len(dirs))
	for _, dir := range dirs {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		s := before[dir]
		if s == nil {
			s = &shelf{dir: dir}
		}
		if err := a.fill(s); err != nil {
			return nil, err
		}
		now[dir] = s
		all = append(all, s)
	}
	a.r.shelves[a.name] = now
	return all, nil
}

func (a *account) fill(s *shelf) error {
	epochs, err := archive.Epochs(a.r.files, s.dir)
	if err != nil {
		return err
	}
	s.list(epochs)
	s.acked = nil
	if a.limits.Bytes == 0 {
		return nil
	}
	for i := range s.books {
		b := &s.books[i]
		if b.bytes > 0 {
			continue
		}
		bytes, _, err := measure(a.r.o.Dir, archive.PathsIn(s.dir, b.epoch))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		b.bytes = bytes
	}
	return nil
}

// over says which limit the oldest scrape is over, if it is over one.
func (a *account) over(b book) string {
	switch {
	case a.limits.Age > 0 && b.epoch < a.r.o.now().Add(-a.limits.Age).UnixMicro():
		return byAge
	case a.limits.Bytes > 0 && a.total > a.limits.Bytes:
		return byBytes
	}
	return ""
}

// judge puts a scrape that is over a limit into the group that goes, if nothing holds it.
func (a *account) judge(ctx context.Context, s *shelf, b book, reason string) error {
	p := archive.PathsIn(s.dir, b.epoch)
	bytes, written, err := measure(a.r.o.Dir, p)
	if errors.Is(err, fs.ErrNotExist) && !a.there(p.Dir) {
		return nil // another process has taken it
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if errors.Is(err, fs.ErrNotExist) {
		a.hold(b) // half a scrape, which no zstats has left: it is kept for whoever looks into it
		return nil
	}
	acked, err := a.acked(ctx, s, b, written)
	if err != nil {
		return err
	}
	if !acked || a.r.o.now().Sub(written) < a.r.o.Grace {
		a.hold(b)
		return nil
	}
	a.group = append(a.group, victim{place: p.Dir, bytes: bytes, reason: reason})
	if len(a.group) < atOnce {
		return nil
	}
	if err := a.remove(); err != nil {
		return err
	}
	return ctx.Err()
}

func (a *account) there(dir string) bool {
	_, err := fs.Stat(a.r.files, dir)
	return err == nil
}

func (a *account) hold(b book) {
	a.held++
	a.heldBytes += b.bytes
	if a.oldest == 0 {
		a.oldest = b.epoch
	}
}

// acked reports whether all positions have acknowledged a scrape.
func (a *account) acked(ctx context.Context, s *shelf, b book, written time.Time) (bool, error) {
	if s.acked == nil {
		target, err := archive.TargetOf(a.r.files, s.dir)
		if err != nil {
			return false, nil // nobody can tell whose it is, so nobody can have acknowledged it
		}
		if s.acked, err = a.look(ctx, target); err != nil {
			return false, fmt.Errorf("ask what of %s consumers have acknowledged: %w", target, err)
		}
	}
	return s.acked(b.epoch, written), nil
}

// remove removes the group.
func (a *account) remove() error {
	if len(a.group) == 0 {
		return nil
	}
	places := make([]string, len(a.group))
	for i, v := range a.group {
		places[i] = v.place
	}
	gone, err := a.r.volume.Remove(places)
	n := 0
	for i, v := range a.group {
		if gone[i] {
			n++
			a.r.metrics.removed.WithLabelValues(a.name, v.reason).Inc()
			a.r.metrics.bytes.WithLabelValues(a.name).Add(float64(v.bytes))
		}
	}
	a.group = a.group[:0]
	a.r.log.Debug("removed old scrapes", zap.String("account", a.name), zap.Int("scrapes", n))
	return err
}

// report says what is kept, where all up to the front of the line has been judged.
func (a *account) report(shelves []*shelf, l *line) {
	oldest := a.oldest
	note := func(epoch int64) {
		if oldest == 0 || epoch < oldest {
			oldest = epoch
		}
	}
	if _, b, ok := l.first(); ok {
		note(b.epoch)
	}
	for _, s := range shelves {
		if n := len(s.books); n > 0 {
			note(s.books[n-1].epoch)
		}
	}
	m := a.r.metrics
	if a.limits.Bytes > 0 {
		m.kept.WithLabelValues(a.name).Set(float64(a.total + a.heldBytes))
	}
	if oldest > 0 {
		m.oldest.WithLabelValues(a.name).Set(float64(oldest) / 1e6)
	}
	m.held.WithLabelValues(a.name).Set(float64(a.held))
}
