package writer

import (
	"context"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/volume"
)

// Open has nothing to forget: a schema never changes, and what lies on disk is looked at there.
func (w *Writer) Open(int) {}

// Process writes the scrapes of a batch and returns an event for each that lies on disk, durably. The others are in DEAD,
// durably too. After an error nothing of the batch is staged any more; scrapes that have got their place already are
// found there by the next try.
func (w *Writer) Process(ctx context.Context, batch []bus.Delivery) ([]bus.Output, error) {
	jobs := make([]job, len(batch))
	for i := range jobs {
		jobs[i].delivery = &batch[i]
	}
	outputs, err := w.process(ctx, jobs)
	w.setFailure(err)
	if err != nil {
		if ctx.Err() == nil {
			w.metrics.errors.WithLabelValues(kindOf(err)).Inc()
		}
		return nil, err
	}
	w.metrics.written(jobs)
	return outputs, nil
}

func (w *Writer) process(ctx context.Context, jobs []job) ([]bus.Output, error) {
	if err := w.write(ctx, jobs); err != nil {
		w.abort()
		return nil, err
	}
	// Dead letters come last, so that they are not repeated for as long as the disk fails.
	if err := w.bury(ctx, jobs); err != nil {
		return nil, err
	}
	return w.outputs(jobs)
}

// write brings the jobs' files to their places.
func (w *Writer) write(ctx context.Context, jobs []job) error {
	if err := w.volume.Begin(); err != nil {
		return err
	}
	if err := w.prepareAll(ctx, jobs); err != nil {
		return err
	}
	entries := make([]*volume.Entry, 0, len(jobs))
	for i := range jobs {
		if jobs[i].refused == nil {
			entries = append(entries, jobs[i].entry)
		}
	}
	if err := w.volume.Publish(entries); err != nil {
		return err
	}
	for i := range jobs {
		if err := w.settle(&jobs[i]); err != nil {
			return err
		}
	}
	return nil
}

// prepareAll prepares the jobs, one at a time for each renderer.
func (w *Writer) prepareAll(ctx context.Context, jobs []job) error {
	var next atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	for _, r := range w.renderers {
		group.Go(func() error {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(jobs) {
					return nil
				}
				if err := ctx.Err(); err != nil {
					return err
				}
				if err := w.prepare(ctx, &jobs[i], r); err != nil {
					return err
				}
			}
		})
	}
	return group.Wait()
}

// outputs returns the events, in the order of the batch.
func (w *Writer) outputs(jobs []job) ([]bus.Output, error) {
	outputs := make([]bus.Output, 0, len(jobs))
	for i := range jobs {
		if jobs[i].refused != nil {
			continue
		}
		m, err := jobs[i].output(w.o.Partitions)
		if err != nil {
			return nil, err
		}
		outputs = append(outputs, bus.Output{Input: i, Message: m})
	}
	return outputs, nil
}
