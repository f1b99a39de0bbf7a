package collector

import (
	"fmt"
	"math/rand"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
)

// What is counted while blobs come, go to disk, are taken and released is nothing in the end, and their order stays.
func TestQueueKeepsOrderAndAccounts(t *testing.T) {
	for seed := range int64(40) {
		r := rand.New(rand.NewSource(seed))
		o := queueOptions{blobs: 3 + r.Intn(5), bytes: int64(4000 + r.Intn(60000)), batch: 1 + r.Intn(4), flush: time.Second}
		if r.Intn(2) == 0 {
			var err error
			if o.buffer, err = openBuffer(t.TempDir(), 10<<20, int64(1+r.Intn(9000)), newMetrics(), zap.NewNop()); err != nil {
				t.Fatal(err)
			}
		}
		if err := exercise(newQueue(o), r, blobs(t, 80)); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

// exercise pushes, takes and releases at random, and checks the order and the bounds.
func exercise(q *queue, r *rand.Rand, all []*pending) error {
	var want, got []string
	var taken []*pending
	now := time.Unix(1_700_000_000, 0)
	for i, p := range all {
		now = now.Add(time.Duration(r.Intn(90)) * time.Second)
		if q.push(p, now) {
			want = append(want, fmt.Sprint(p.target, p.scrape.Generation))
		}
		if s := q.stats(); s.bytes > q.bytes || s.blobs > 2*q.blobs {
			return fmt.Errorf("%d bytes and %d blobs after push %d", s.bytes, s.blobs, i)
		}
		switch r.Intn(6) {
		case 0:
			q.secure(taken, now)
		case 1, 2:
			if len(taken) == 0 {
				taken = q.take(int64(1 + r.Intn(20000)))
			}
		case 3:
			got, taken = release(q, got, taken), nil
		}
	}
	for len(taken) > 0 || q.more() {
		got = release(q, got, taken)
		taken = q.take(1 << 20)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		return fmt.Errorf("pushed and taken differ:\n%s", diff)
	}
	if diff := cmp.Diff(queueStats{}, q.stats(), cmp.AllowUnexported(queueStats{})); diff != "" || len(q.perTarget)+len(q.schemas) > 0 {
		return fmt.Errorf("an empty queue counts: %s %v %v", diff, q.perTarget, q.schemas)
	}
	return nil
}

func release(q *queue, got []string, taken []*pending) []string {
	for _, p := range taken {
		got = append(got, fmt.Sprint(p.target, p.scrape.Generation))
		q.release(p)
	}
	return got
}

// more reports whether anything is to be taken.
func (q *queue) more() bool {
	_, ok := q.due(time.Now())
	return ok
}

func TestQueueDue(t *testing.T) {
	start := time.Unix(1_700_000_000, 0)
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	q := newQueue(queueOptions{blobs: 6, bytes: 1 << 20, batch: 4, flush: 10 * time.Second})
	check := func(now int, want time.Duration, ok bool) {
		t.Helper()
		if got, gotOK := q.due(at(now)); got != want || gotOK != ok {
			t.Errorf("due in %v, %v, not in %v, %v", got, gotOK, want, ok)
		}
	}
	all := blobs(t, 10)
	a, b := []*pending{all[0], all[2], all[4], all[6]}, []*pending{all[1], all[3]}
	check(0, 0, false)
	q.push(a[0], at(0))
	check(3, 7*time.Second, true)
	check(30, 0, true)
	q.push(a[1], at(4))
	check(4, 6*time.Second, true)
	q.push(a[2], at(4))
	check(4, 0, true) // half of the target's room is used
	q.take(1 << 20)
	check(4, 0, false)
	q = newQueue(queueOptions{blobs: 60, bytes: 1 << 20, batch: 4, flush: 10 * time.Second})
	for _, p := range []*pending{a[0], b[0], a[1]} {
		q.push(p, at(0))
	}
	check(0, 10*time.Second, true)
	q.push(b[1], at(0))
	check(0, 0, true) // a batch
}

func TestPrefix(t *testing.T) {
	full := blobs(t, 2)[0] // the first one of its target
	size := full.wire()
	for _, tc := range []struct {
		blobs, count int
		bytes        int64
		want         int
	}{
		{0, 5, size, 0}, {3, 5, 3 * size, 3}, {3, 5, 3*size - 1, 2}, {3, 2, 3 * size, 2}, {3, 5, 1, 1}, {3, 1, 1, 1},
	} {
		list := make([]*pending, tc.blobs)
		for i := range list {
			list[i] = full
		}
		if got := prefix(list, tc.count, tc.bytes); got != tc.want {
			t.Errorf("%+v: %d", tc, got)
		}
	}
}

// The estimate of a request's size is near what it takes, so that a batch of full blobs stays within a server's limits.
func TestWireIsAGoodEstimate(t *testing.T) {
	for _, p := range blobs(t, 40) {
		body := len(encodePlain(p))
		if got := p.wire(); got < int64(body)/2-400 || got > 2*int64(body)+100 {
			t.Errorf("full %v: estimated %d bytes of %d", p.full, got, body)
		}
	}
}
