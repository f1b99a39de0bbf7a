package writer

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/zstats/zstats/pkg/archive"
	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/render"
	"github.com/zstats/zstats/pkg/volume"
)

// Writer is the stage that turns scrapes into files and events.
type Writer struct {
	o         Options
	log       letterLog
	volume    *volume.Volume
	renderers []*render.Renderer
	worker    *bus.Worker
	metrics   *metrics
	logger    *zap.Logger

	mu      sync.Mutex // guards failure
	failure error      // of the last batch
}

// letterLog is where dead letters go.
type letterLog interface {
	// Append stores messages durably.
	Append(ctx context.Context, stream string, msgs ...bus.Message) ([]uint64, error)
}

// New returns a writer. It makes the directory of files if it is missing, and refuses one that can't be written to or whose
// file system would mix up targets or can't move files into place.
func New(o Options) (*Writer, error) {
	o.setDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	w := &Writer{o: o, log: o.Bus, metrics: newMetrics(o.Registerer), logger: o.Logger}
	schemas, err := render.NewSchemas(render.Options{
		Log: o.Bus, CacheBytes: o.CacheBytes, Logger: o.Logger, Metrics: w.metrics.schemas,
	})
	if err != nil {
		return nil, err
	}
	for range o.Parallel {
		w.renderers = append(w.renderers, render.NewRenderer(schemas))
	}
	if w.worker, err = bus.NewWorker(w.workerOptions()); err != nil {
		return nil, err
	}
	w.volume, err = volume.Open(volume.Options{
		Dir: o.Dir, Temp: archive.TempDir, Reserve: o.Reserve, EachFile: o.eachFile, Hook: o.hook,
		Synced: func(d time.Duration) { w.metrics.syncs.Observe(d.Seconds()) },
	})
	return w, err
}

func (w *Writer) workerOptions() bus.WorkerOptions {
	return bus.WorkerOptions{
		Bus:        w.o.Bus,
		Stage:      bus.WriterStage(),
		Partitions: w.o.Partitions,
		Processor:  w,
		ID:         w.o.ID,
		MaxBatch:   w.o.MaxBatch,
		Linger:     w.o.Linger,
		Logger:     w.o.Logger,
		Registerer: w.o.Registerer,
	}
}

// Run writes scrapes until ctx ends. It may be called once.
func (w *Writer) Run(ctx context.Context) error {
	removed, err := w.volume.Sweep()
	w.metrics.leftovers.Add(float64(removed))
	if err != nil {
		w.logger.Warn("leftovers of dead writers can't be removed", zap.String("dir", w.o.Dir), zap.Error(err))
	}
	defer func() {
		if err := w.volume.Close(); err != nil {
			w.logger.Warn("temporary files can't be removed, the next start tries again", zap.Error(err))
		}
	}()
	return w.worker.Run(ctx)
}

// Ready reports why no scrape can be written now, or nil.
func (w *Writer) Ready() error {
	w.mu.Lock()
	failure := w.failure
	w.mu.Unlock()
	if failure != nil {
		return failure
	}
	if err := w.volume.Check(); err != nil {
		return err
	}
	return w.worker.Ready()
}

func (w *Writer) setFailure(err error) {
	w.mu.Lock()
	w.failure = err
	w.mu.Unlock()
}

// abort removes what a failed batch has staged.
func (w *Writer) abort() {
	if err := w.volume.Abort(); err != nil {
		w.logger.Warn("temporary files of a failed batch can't be removed, the next start tries again", zap.Error(err))
	}
}
