package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/failpoint"
)

// Headers of JetStream's atomic batches (ADR-50) and of conditions on the last sequence of a subject, and our own.
const (
	headerBatchID       = "Nats-Batch-Id"
	headerBatchSequence = "Nats-Batch-Sequence"
	headerBatchCommit   = "Nats-Batch-Commit"
	headerExpectedLast  = jetstream.ExpectedLastSubjSeqHeader

	// headerParts is on a message whose data travels in that many messages right before it.
	headerParts = "Zs-Parts"
)

const (
	// maxBatch is how many messages JetStream takes in one atomic batch.
	maxBatch = 1000
	// partSize is the most data that one message carries, in bytes. With headers it stays below the server's default limit
	// of 1 MiB.
	partSize = 768 << 10
)

// JetStream's error codes that nats.go has no name for.
const (
	codeResources           jetstream.ErrorCode = 10023
	codeStoreFailed         jetstream.ErrorCode = 10077
	codeAccountResourcesMax jetstream.ErrorCode = 10002
)

// entry is a message ready to be published.
type entry struct {
	*nats.Msg
}

// entries turns a message into what is published for it: its parts, if it is large, then itself.
func entries(stream string, m Message) []entry {
	msg := nats.NewMsg(m.Subject)
	for name, value := range m.Header {
		msg.Header[name] = []string{value}
	}
	if len(m.Data) <= partSize {
		msg.Data = m.Data
		return []entry{{msg}}
	}
	out := make([]entry, 0, len(m.Data)/partSize+2)
	for data := m.Data; len(data) > 0; {
		n := min(len(data), partSize)
		part := nats.NewMsg(partSubject(stream, m.Subject, len(out)))
		part.Data = data[:n]
		out = append(out, entry{part})
		data = data[n:]
	}
	msg.Header.Set(headerParts, strconv.Itoa(len(out)))
	return append(out, entry{msg})
}

// partSubject returns the subject of part k of a message. SCHEMAS keeps only the last message of each subject, so there each part
// has its own; parts that are published again replace the ones before, like the message.
func partSubject(stream, subject string, k int) string {
	if stream == event.Schemas {
		return subject + "." + strconv.Itoa(k)
	}
	return event.PartSubject(stream)
}

// expectLast makes the entry, and so its whole batch, depend on the last message of its own subject having this sequence; 0
// stands for no message.
func (e entry) expectLast(sequence uint64) {
	e.Header.Set(headerExpectedLast, strconv.FormatUint(sequence, 10))
}

// Append publishes messages in order as one atomic batch and returns the sequence of each. When it returns nil they are
// durable; ErrFull and ErrTooLarge mean that nothing was stored, any other error that the outcome is unknown.
func (b *Bus) Append(ctx context.Context, stream string, msgs ...Message) ([]uint64, error) {
	var all []entry
	ends := make([]int, len(msgs)) // entries up to and including each message
	for i, m := range msgs {
		all = append(all, entries(stream, m)...)
		ends[i] = len(all)
	}
	last, err := b.publish(ctx, stream, all)
	if err != nil {
		return nil, err
	}
	sequences := make([]uint64, len(msgs))
	for i, end := range ends {
		sequences[i] = last - uint64(len(all)-end)
	}
	return sequences, nil
}

// AppendAll publishes messages in order, in as few atomic batches as they fit into. After an error some of them may be
// stored.
func (b *Bus) AppendAll(ctx context.Context, stream string, msgs []Message) error {
	return b.appendAll(ctx, stream, msgs, func([]entry) {})
}

// AppendNew does the same on the condition that no message is kept on any of the messages' subjects, which must all differ. A
// batch for which that does not hold is not stored, and the error is ErrFenced; the batches before it are.
func (b *Bus) AppendNew(ctx context.Context, stream string, msgs []Message) error {
	return b.appendAll(ctx, stream, msgs, func(own []entry) { own[len(own)-1].expectLast(0) })
}

func (b *Bus) appendAll(ctx context.Context, stream string, msgs []Message, condition func(own []entry)) error {
	var batch []entry
	bytes := 0
	for _, m := range msgs {
		own := entries(stream, m)
		condition(own)
		if len(batch) > 0 && (len(batch)+len(own) > maxBatch || bytes+len(m.Data) > maxBatchBytes) {
			if _, err := b.publish(ctx, stream, batch); err != nil {
				return err
			}
			batch, bytes = nil, 0
		}
		batch = append(batch, own...)
		bytes += len(m.Data)
	}
	_, err := b.publish(ctx, stream, batch)
	return err
}

// publish stores the entries with consecutive sequences, all or none, and returns the last sequence.
func (b *Bus) publish(ctx context.Context, stream string, all []entry) (last uint64, err error) {
	if len(all) == 0 {
		return 0, nil
	}
	if len(all) > maxBatch {
		return 0, fmt.Errorf("%s: %d messages: %w", stream, len(all), ErrTooLarge)
	}
	ctx, l, release, err := b.bind(ctx)
	if err != nil {
		return 0, fmt.Errorf("publish to %s: %w", stream, err)
	}
	defer release()
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	failpoint.HitIn("log.batch.before", stream)
	if len(all) > 1 {
		id := nuid.Next()
		for i, e := range all {
			e.Header.Set(headerBatchID, id)
			e.Header.Set(headerBatchSequence, strconv.Itoa(i+1))
		}
		for _, e := range all[:len(all)-1] {
			if err := b.conn.PublishMsg(e.Msg); err != nil {
				return 0, fmt.Errorf("publish to %s: %w", stream, err)
			}
		}
		all[len(all)-1].Header.Set(headerBatchCommit, "1")
		failpoint.HitIn("log.batch.half", stream)
	}
	reply, err := b.conn.RequestMsgWithContext(ctx, all[len(all)-1].Msg)
	if err != nil {
		return 0, fmt.Errorf("publish to %s: %w", stream, cause(ctx, err))
	}
	failpoint.HitIn("log.batch.after", stream)
	last, err = ack(stream, reply.Data, len(all))
	if err == nil && l != nil {
		l.stored(stream, last)
	}
	return last, err
}

// cause adds to an error why its context has ended, if that says more.
func cause(ctx context.Context, err error) error {
	if c := context.Cause(ctx); ctx.Err() != nil && c != ctx.Err() {
		return fmt.Errorf("%w: %w", err, c)
	}
	return err
}

// ack reads the server's answer to a publication of n messages.
func ack(stream string, data []byte, n int) (uint64, error) {
	var answer struct {
		Error    *jetstream.APIError `json:"error"`
		Stream   string              `json:"stream"`
		Sequence uint64              `json:"seq"`
		Count    int                 `json:"count"`
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		return 0, fmt.Errorf("publish to %s: answer %q: %w", stream, data, err)
	}
	if answer.Error != nil {
		return 0, fmt.Errorf("publish to %s: %w", stream, publishError(answer.Error))
	}
	if answer.Stream != stream || answer.Sequence < uint64(n) || n > 1 && answer.Count != n {
		return 0, fmt.Errorf("publish to %s: unexpected answer %q to %d messages", stream, data, n)
	}
	return answer.Sequence, nil
}

// publishError names what the server refused. Where it says that nothing was stored the result wraps one of this package's
// errors.
func publishError(e *jetstream.APIError) error {
	switch e.ErrorCode {
	case jetstream.JSErrCodeStreamWrongLastSequence, jetstream.JSErrCodeStreamWrongLastSequenceConstant:
		return errors.Join(ErrFenced, e)
	case codeStoreFailed, codeResources, codeAccountResourcesMax:
		return errors.Join(ErrFull, e)
	default:
		return e
	}
}
