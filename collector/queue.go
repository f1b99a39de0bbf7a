package collector

import (
	"slices"
	"sync"
	"time"
)

// queueOptions are the bounds of a queue.
type queueOptions struct {
	// blobs is the largest number of one target's blobs, bytes the most memory of all.
	blobs int
	bytes int64
	// batch and flush say when there is something to take: so many blobs, or one that has waited so long.
	batch int
	flush time.Duration
	// buffer is where blobs go that have no room in memory; nil for none.
	buffer *buffer
}

// queue holds all blobs between the scrapers and the sender, in the order in which they came. Those that the buffer holds
// are older than those that wait in memory, and younger than those that the sender has taken from there.
//
// Whatever counts towards the bounds counts until release, so also while the sender has it.
type queue struct {
	queueOptions
	// wake has an element when something has come that may be worth taking.
	wake chan struct{}

	mu      sync.Mutex // guards all below, and the buffer
	waiting []*pending
	order   int64
	// count and perTarget count blobs in memory, held is their memory with that of their schemas.
	count     int
	perTarget map[string]int
	held      int64
	schemas   map[*sizedSchema]int // how many blobs in memory refer to each
	// crowded says that a target has used up half of its room.
	crowded bool
}

func newQueue(o queueOptions) *queue {
	q := &queue{
		queueOptions: o,
		wake:         make(chan struct{}, 1),
		perTarget:    make(map[string]int),
		schemas:      make(map[*sizedSchema]int),
	}
	if q.buffer != nil {
		q.order = q.buffer.last // even if the clock was set back since
	}
	return q
}

// push puts p at the end. It returns false if there is no room, neither in memory nor on disk.
func (q *queue) push(p *pending, now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for !q.fits(p) {
		if !q.spill() {
			return false
		}
	}
	q.order = max(q.order+1, now.UnixNano())
	p.order, p.since = q.order, now
	q.waiting = append(q.waiting, p)
	q.account(p)
	q.crowded = q.crowded || q.perTarget[p.target] >= (q.blobs+1)/2
	if len(q.waiting) == 1 || q.crowded || len(q.waiting) >= q.batch {
		q.signal()
	}
	return true
}

func (q *queue) fits(p *pending) bool {
	return q.perTarget[p.target] < q.blobs && q.held+p.memory()+q.newSchema(p) <= q.bytes
}

// newSchema returns the memory of p's schema if no blob in memory refers to it yet.
func (q *queue) newSchema(p *pending) int64 {
	if q.schemas[p.schema] > 0 {
		return 0
	}
	return p.schema.memory
}

func (q *queue) account(p *pending) {
	q.held += p.memory() + q.newSchema(p)
	q.schemas[p.schema]++
	q.perTarget[p.target]++
	q.count++
}

func (q *queue) forget(p *pending) {
	if q.schemas[p.schema]--; q.schemas[p.schema] == 0 {
		delete(q.schemas, p.schema)
	}
	q.held -= p.memory() + q.newSchema(p)
	if q.perTarget[p.target]--; q.perTarget[p.target] == 0 {
		delete(q.perTarget, p.target)
	}
	q.count--
}

// spill moves the oldest of what waits to a file of the buffer. It returns false if that moved nothing.
func (q *queue) spill() bool {
	if q.buffer == nil {
		return false
	}
	n := q.buffer.store(q.waiting)
	for _, p := range q.waiting[:n] {
		q.forget(p)
	}
	q.waiting = slices.Delete(q.waiting, 0, n)
	return n > 0
}

// secure writes to the buffer what has been in memory for long: the blobs that the sender has and can't deliver, and those
// that wait. So a collector that is killed in an outage loses the last minute at most.
func (q *queue) secure(taken []*pending, now time.Time) {
	const long = time.Minute
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.buffer == nil {
		return
	}
	for _, p := range q.buffer.adopt(inMemory(taken), now.Add(-long)) {
		q.forget(p)
	}
	for len(q.waiting) > 0 && now.Sub(q.waiting[0].since) >= long && q.spill() {
	}
}

// inMemory returns those blobs that no file holds.
func inMemory(blobs []*pending) []*pending {
	return slices.DeleteFunc(slices.Clone(blobs), func(p *pending) bool { return p.file != nil })
}

// take takes the oldest blobs: at most a batch, and no more than bytes of wire unless a single one is larger.
func (q *queue) take(bytes int64) []*pending {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.crowded = false
	if batch := q.takeBuffered(bytes); len(batch) > 0 {
		return batch
	}
	n := prefix(q.waiting, q.batch, bytes)
	batch := slices.Clone(q.waiting[:n])
	q.waiting = slices.Delete(q.waiting, 0, n)
	return batch
}

func (q *queue) takeBuffered(bytes int64) []*pending {
	if q.buffer == nil {
		return nil
	}
	return q.buffer.take(q.batch, bytes)
}

// prefix returns how many of the first blobs make a request of at most count blobs and about bytes, at least one.
func prefix(blobs []*pending, count int, bytes int64) int {
	for n, p := range blobs {
		bytes -= p.wire()
		if n == count || n > 0 && bytes < 0 {
			return n
		}
	}
	return len(blobs)
}

// release ends the life of a blob that was taken.
func (q *queue) release(p *pending) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if p.file != nil {
		q.buffer.release(p)
		return
	}
	q.forget(p)
}

// due returns how long it is until something is to be taken; false if nothing waits.
func (q *queue) due(now time.Time) (time.Duration, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.buffer != nil && q.buffer.more():
		return 0, true
	case len(q.waiting) == 0:
		return 0, false
	case q.crowded || len(q.waiting) >= q.batch:
		return 0, true
	}
	return max(0, q.flush-now.Sub(q.waiting[0].since)), true
}

// keep stores what will not be sent any more: blobs that the sender could not deliver, and those that wait. It returns
// how many are lost.
func (q *queue) keep(undelivered []*pending) (lost int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	left := append(inMemory(undelivered), q.waiting...)
	for q.buffer != nil {
		n := q.buffer.store(left)
		if left = left[n:]; n == 0 {
			break
		}
	}
	return len(left)
}

// queueStats are the figures of a queue.
type queueStats struct {
	blobs, files     int
	bytes, fileBytes int64
}

func (q *queue) stats() queueStats {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := queueStats{blobs: q.count, bytes: q.held}
	if q.buffer != nil {
		s.files, s.fileBytes = q.buffer.files, q.buffer.bytes
	}
	return s
}

// oldest returns how long the first of the blobs that wait in memory has waited.
func (q *queue) oldest(now time.Time) time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		return 0
	}
	return now.Sub(q.waiting[0].since)
}

// signal must not block: one signal in the channel is enough.
func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}
