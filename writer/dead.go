package writer

import (
	"context"
	"fmt"
	"strconv"

	"go.uber.org/zap"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/event/eventpb"
	"github.com/zstats/zstats/pkg/failpoint"
	"github.com/zstats/zstats/pkg/render"
)

const (
	// lettersAtOnce and letterBytes bound what is appended to DEAD as one batch.
	lettersAtOnce = 256
	letterBytes   = 16 << 20
)

// bury makes the refused jobs dead letters. They are durable when it returns nil. A batch that is tried again may bury the
// same scrape twice; copies are told by event.HeaderScrapesSequence.
func (w *Writer) bury(ctx context.Context, jobs []job) error {
	var letters []bus.Message
	size := 0
	for i := range jobs {
		if jobs[i].refused == nil {
			continue
		}
		letter, err := deadLetter(&jobs[i])
		if err != nil {
			return err
		}
		if len(letters) == lettersAtOnce || size+len(letter.Data) > letterBytes {
			if err := w.appendDead(ctx, letters); err != nil {
				return err
			}
			letters, size = nil, 0
		}
		letters = append(letters, letter)
		size += len(letter.Data)
	}
	if err := w.appendDead(ctx, letters); err != nil {
		return err
	}
	w.report(jobs)
	return nil
}

func (w *Writer) appendDead(ctx context.Context, letters []bus.Message) error {
	if len(letters) == 0 {
		return nil
	}
	failpoint.Hit("writer.letters.before")
	if _, err := w.log.Append(ctx, event.Dead, letters...); err != nil {
		return &render.LogError{Err: fmt.Errorf("dead letters: %w", err)}
	}
	failpoint.Hit("writer.letters.after")
	return nil
}

// deadLetter holds the message as it came, so that it can be processed again once the reason is gone.
func deadLetter(j *job) (bus.Message, error) {
	data, err := event.Marshal(&eventpb.DeadLetter{
		Reason:      string(j.refused.Reason),
		Detail:      fmt.Sprintf("writer: message %d of %s: %v", j.delivery.Sequence, event.Scrapes, j.refused.Err),
		RawSequence: j.state.Sequence,
		ReceivedUs:  j.state.Received,
		Payload:     j.delivery.Data,
		Undecoded:   true,
	})
	header := event.TargetHeader(j.target)
	header[event.HeaderScrapesSequence] = strconv.FormatUint(j.delivery.Sequence, 10)
	return bus.Message{Subject: event.DeadSubject(j.target), Header: header, Data: data}, err
}

// report counts and logs the dead letters.
func (w *Writer) report(jobs []job) {
	for i := range jobs {
		j := &jobs[i]
		if j.refused == nil {
			continue
		}
		w.metrics.deadLetters.WithLabelValues(string(j.refused.Reason)).Inc()
		w.logger.Error("scrape can't be written, it is in the dead letters",
			zap.Stringer("target", j.target), zap.Int64("epoch", j.state.Epoch), zap.Int64("generation", j.state.Generation),
			zap.Uint64("sequence", j.delivery.Sequence), zap.String("reason", string(j.refused.Reason)), zap.Error(j.refused.Err))
	}
}
