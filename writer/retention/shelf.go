package retention

import (
	"container/heap"
)

// book is one scrape on disk.
type book struct {
	epoch int64 // microseconds since the Unix epoch
	bytes int64 // on disk, with its directory; 0 until it is measured
}

// shelf holds the scrapes of one target, by epoch.
type shelf struct {
	dir   string // of the target
	books []book
	acked Acked // nil until it is asked for in a pass
}

// list makes the shelf hold the scrapes with the given epochs, ascending, and no others. What is known of their bytes stays.
func (s *shelf) list(epochs []int64) {
	books := make([]book, len(epochs))
	known := 0
	for i, epoch := range epochs {
		for known < len(s.books) && s.books[known].epoch < epoch {
			known++
		}
		books[i].epoch = epoch
		if known < len(s.books) && s.books[known].epoch == epoch {
			books[i].bytes = s.books[known].bytes
		}
	}
	s.books = books
}

// bytes returns the sum over all scrapes.
func (s *shelf) bytes() (sum int64) {
	for _, b := range s.books {
		sum += b.bytes
	}
	return sum
}

// line yields scrapes of several shelves, the oldest first, without the newest of each shelf.
type line struct{ heap queue }

type place struct {
	shelf *shelf
	next  int // in its books
}

func (p place) book() book { return p.shelf.books[p.next] }

func newLine(shelves []*shelf) *line {
	l := new(line)
	for _, s := range shelves {
		if len(s.books) > 1 {
			l.heap = append(l.heap, place{shelf: s})
		}
	}
	heap.Init(&l.heap)
	return l
}

// first returns the oldest scrape that is still in line.
func (l *line) first() (s *shelf, b book, ok bool) {
	if len(l.heap) == 0 {
		return nil, book{}, false
	}
	return l.heap[0].shelf, l.heap[0].book(), true
}

// skip takes the oldest scrape out of the line.
func (l *line) skip() {
	p := &l.heap[0]
	if p.next++; p.next >= len(p.shelf.books)-1 {
		heap.Pop(&l.heap)
		return
	}
	heap.Fix(&l.heap, 0)
}

// queue is a heap by epoch; the shelf's directory decides where those are equal, so that all processes agree on the order.
type queue []place

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	a, b := q[i].book().epoch, q[j].book().epoch
	return a < b || a == b && q[i].shelf.dir < q[j].shelf.dir
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(place)) }
func (q *queue) Pop() any {
	old := *q
	last := old[len(old)-1]
	*q = old[:len(old)-1]
	return last
}
