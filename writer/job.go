package writer

import (
	"context"
	"errors"
	"fmt"
	"path"
	"runtime/debug"

	"github.com/zstats/zstats/pkg/archive"
	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/event/eventpb"
	"github.com/zstats/zstats/pkg/scrape"
	"github.com/zstats/zstats/pkg/volume"
)

// job is one scrape on its way from the log to the disk.
type job struct {
	delivery *bus.Delivery
	target   scrape.Target
	state    scrape.State // without values once it is rendered
	metadata *archive.Metadata
	paths    archive.Paths
	text     int   // bytes of the data before compression
	data     int64 // bytes of the data file
	entry    *volume.Entry
	repeat   bool     // the scrape was on disk already
	refused  *refusal // set instead of an entry if it can't be written
}

// prepare renders and stages a job. A refusal is noted in the job; an error is one of the log or the disk.
func (w *Writer) prepare(ctx context.Context, j *job, r *renderer) error {
	err := w.stage(ctx, j, r)
	if errors.As(err, &j.refused) {
		return nil
	}
	return err
}

func (w *Writer) stage(ctx context.Context, j *job, r *renderer) (err error) {
	// Whatever a scrape may hold, it must not end the process, nor hold up the others for ever.
	defer func() {
		if p := recover(); p != nil {
			err = refuse(reasonPanic, fmt.Errorf("%v\n%s", p, debug.Stack()))
		}
	}()
	if err := j.decode(); err != nil {
		return refuse(reasonUndecodable, err)
	}
	template, err := w.template(ctx, j.target.Account, &j.state)
	if err != nil {
		return err
	}
	data, size, err := r.render(template, &j.state.Scrape)
	if err == nil {
		err = inRange(j.state.Inferred, len(j.state.Values))
	}
	if err != nil {
		return refuse(reasonMismatch, err)
	}
	j.text, j.data = size, int64(len(data))
	j.metadata = archive.NewMetadata(j.target, &j.state, template.Template)
	j.paths = archive.ScrapePaths(j.target, j.state.Epoch)
	j.state.Values, j.state.Stamps, j.state.Inferred = nil, nil, nil // a batch holds many
	j.entry, err = w.volume.Stage(j.paths.Dir,
		volume.File{Name: path.Base(j.paths.Data), Data: data},
		volume.File{Name: path.Base(j.paths.Metadata), Data: j.metadata.Append(nil)})
	return err
}

// inRange checks positions of samples, which come from the log.
func inRange(positions []int32, samples int) error {
	for _, p := range positions {
		if p < 0 || int(p) >= samples {
			return fmt.Errorf("position %d of an inferred value is not among %d samples", p, samples)
		}
	}
	return nil
}

// decode reads the delivery. What can be read is set even if something else can't.
func (j *job) decode() error {
	target, err := j.delivery.Header.Target()
	j.target = target
	if err != nil {
		return err
	}
	state, err := event.DecodeState(j.delivery.Data)
	if err != nil {
		return err
	}
	j.state = *state
	return nil
}

// late reports whether the scrape comes from a requeued dead letter.
func (j *job) late() bool {
	_, _, late := event.Requeued(j.delivery.Subject)
	return late
}

// eventType is what every event says of the source of its samples.
const eventType = "prometheus"

// output returns the event that tells of the scrape.
func (j *job) output(partitions int) (bus.Message, error) {
	data, err := event.Marshal(&eventpb.ScrapeWritten{
		Account:            j.target.Account,
		Source:             j.target.Source,
		Target:             j.target.Name,
		InstanceId:         j.target.Name,
		Type:               eventType,
		DataPath:           j.paths.Data,
		MetadataPath:       j.paths.Metadata,
		DefaultTimestampMs: j.state.Time,
		EpochUs:            j.state.Epoch,
		Generation:         j.state.Generation,
		Samples:            uint32(j.metadata.Samples),
		Inferred:           uint32(j.metadata.Inferred),
		Bytes:              uint64(j.data),
		Late:               j.late(),
	})
	return bus.Message{
		Subject: event.EventSubject(j.target, partitions),
		Header:  event.TargetHeader(j.target),
		Data:    data,
	}, err
}
