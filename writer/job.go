package writer

import (
	"context"
	"errors"
	"path"

	"github.com/zstats/zstats/pkg/archive"
	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/event/eventpb"
	"github.com/zstats/zstats/pkg/render"
	"github.com/zstats/zstats/pkg/scrape"
	"github.com/zstats/zstats/pkg/volume"
)

// job is one scrape on its way from the log to the disk.
type job struct {
	delivery *bus.Delivery
	target   scrape.Target
	state    *scrape.State // without values once it is rendered
	metadata *archive.Metadata
	paths    archive.Paths
	text     int   // bytes of the data before compression
	data     int64 // bytes of the data file
	entry    *volume.Entry
	repeat   bool            // the scrape was on disk already
	refused  *render.Refusal // set instead of an entry if it can't be written
}

// prepare renders and stages a job. A refusal is noted in the job; an error is one of the log or the disk.
func (w *Writer) prepare(ctx context.Context, j *job, r *render.Renderer) error {
	err := w.stage(ctx, j, r)
	if errors.As(err, &j.refused) {
		return nil
	}
	return err
}

func (w *Writer) stage(ctx context.Context, j *job, r *render.Renderer) error {
	if err := j.delivery.Broken; err != nil {
		j.target, _ = j.delivery.Header.Target() // if it says
		j.state = new(scrape.State)              // nothing is known of it
		return &render.Refusal{Reason: reasonIncomplete, Err: err}
	}
	var err error
	if j.target, j.state, err = render.Decode(j.delivery.Header, j.delivery.Data); err != nil {
		return err
	}
	files, err := r.Gzip(ctx, j.target, j.state)
	if err != nil {
		return err
	}
	j.text, j.data = files.Text, int64(len(files.Data))
	j.metadata, j.paths = files.Metadata, files.Paths
	j.state.Values, j.state.Stamps, j.state.Inferred = nil, nil, nil // a batch holds many
	j.entry, err = w.volume.Stage(j.paths.Dir,
		volume.File{Name: path.Base(j.paths.Data), Data: files.Data},
		volume.File{Name: path.Base(j.paths.Metadata), Data: j.metadata.Append(nil)})
	return err
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
