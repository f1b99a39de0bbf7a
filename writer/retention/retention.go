package retention

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"go.uber.org/zap"

	"github.com/zstats/zstats/pkg/archive"
	"github.com/zstats/zstats/pkg/scrape"
	"github.com/zstats/zstats/pkg/volume"
)

// lockName is the file, in the directory of files, that the process holds which removes.
const lockName = ".retention.lock"

// rest is how many times as long as a pass the time until the next is at least: looking through many files takes the disk
// from writers.
const rest = 20

// Retention removes old scrapes.
type Retention struct {
	o       Options
	files   fs.FS
	volume  *volume.Volume
	log     *zap.Logger
	metrics *metrics
	lock    io.Closer // nil while another process removes
	shelves map[string]map[string]*shelf
}

// New returns a retention. The directory of files must be there and fit for a writer.
func New(o Options) (*Retention, error) {
	o.setDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	v, err := volume.Open(volume.Options{Dir: o.Dir, Temp: archive.TempDir, Hook: o.hook})
	if err != nil {
		return nil, err
	}
	return &Retention{
		o: o, files: os.DirFS(o.Dir), volume: v, log: o.Logger, metrics: newMetrics(o.Registerer), shelves: make(map[string]map[string]*shelf),
	}, nil
}

// Run removes what is old, now and then periodically, until ctx ends. It may be called once. What fails is logged, counted
// and tried again.
func (r *Retention) Run(ctx context.Context) error {
	defer r.close()
	for {
		started := time.Now()
		if err := r.turn(ctx); err != nil && ctx.Err() == nil {
			r.metrics.failures.Inc()
			r.log.Error("old files can't be removed, the next pass tries again", zap.String("dir", r.o.Dir), zap.Error(err))
		}
		next := time.NewTimer(max(r.o.Interval, rest*time.Since(started)))
		select {
		case <-ctx.Done():
			next.Stop()
			return nil
		case <-next.C:
		}
	}
}

func (r *Retention) close() {
	if err := r.volume.Close(); err != nil {
		r.log.Warn("removed files are still among the temporary ones, the next start of a writer removes them", zap.Error(err))
	}
	if r.lock != nil {
		_ = r.lock.Close() // nothing was written to it
	}
	r.metrics.active.Set(0)
}

// turn makes one pass if this process is the one that removes.
func (r *Retention) turn(ctx context.Context) error {
	if r.lock == nil && !r.o.shared {
		lock, err := r.volume.Exclusive(lockName)
		if errors.Is(err, volume.ErrHeld) {
			return nil
		}
		if err != nil {
			return err
		}
		r.lock = lock
	}
	r.metrics.active.Set(1)
	start := time.Now()
	defer func() { r.metrics.passes.Observe(time.Since(start).Seconds()) }()
	return r.pass(ctx)
}

// pass looks at all accounts. The error of one doesn't keep the others.
func (r *Retention) pass(ctx context.Context) error {
	look := func(context.Context, scrape.Target) (Acked, error) { return ackedAll, nil }
	if r.o.Positions != nil {
		var err error
		if look, err = r.o.Positions(ctx); err != nil {
			return fmt.Errorf("ask what consumers have acknowledged: %w", err)
		}
	}
	dirs, err := archive.AccountDirs(r.files)
	if err != nil {
		return err
	}
	there := make(map[string]bool)
	var errs []error
	for _, dir := range dirs {
		name, err := archive.ParseAccountDir(dir)
		limits := r.o.of(name)
		if err != nil || limits.None() {
			continue // what is no account's is nobody's to remove
		}
		there[name] = true
		a := account{r: r, name: name, dir: dir, limits: limits, look: look}
		if err := a.pass(ctx); err != nil {
			errs = append(errs, fmt.Errorf("account %s: %w", name, err))
		}
	}
	for name := range r.shelves {
		if !there[name] {
			delete(r.shelves, name)
			r.metrics.forget(name)
		}
	}
	return errors.Join(errs...)
}
