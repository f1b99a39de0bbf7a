package push

import (
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// maxFailing bounds the events of which failures are counted: as many as a position may have unacknowledged.
const maxFailing = 20_000

// failures tells events that the service can't take from a service that takes nothing. A failed call counts against its event only
// if the service has taken another event since the last one that counted. They are counted since the process began.
type failures struct {
	most int // so many that count are enough; 0: none are

	mu     sync.Mutex // guards what follows
	taken  uint64     // events that the service has taken
	counts *simplelru.LRU[uint64, failure]
}

// failure is how often an event's calls failed.
type failure struct {
	n int
	// taken is what had been taken when the last failure counted.
	taken uint64
}

func newFailures(most int) (*failures, error) {
	counts, err := simplelru.NewLRU[uint64, failure](maxFailing, nil)
	return &failures{most: most, counts: counts}, err
}

// judge counts what a call for an event came to, and returns givenUp instead of failed if that was enough.
func (f *failures) judge(sequence uint64, o outcome) outcome {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch o {
	case taken:
		f.taken++
	case failed:
		o = f.count(sequence)
	}
	if o.done() {
		f.counts.Remove(sequence)
	}
	return o
}

func (f *failures) count(sequence uint64) outcome {
	have, ok := f.counts.Get(sequence)
	if ok && have.taken == f.taken {
		return failed
	}
	have = failure{have.n + 1, f.taken}
	f.counts.Add(sequence, have)
	if f.most > 0 && have.n >= f.most {
		return givenUp
	}
	return failed
}
