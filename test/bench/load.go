package main

import (
	"fmt"
	"time"

	"github.com/zstats/zstats/pkg/expo"
	"github.com/zstats/zstats/pkg/scrape"
	"github.com/zstats/zstats/pkg/zstatsv1"
	"github.com/zstats/zstats/test/corpus"
)

// load is what is sent: for each sender its requests in order, ready for the wire.
type load struct {
	senders [][][]byte
	targets int
	scrapes int
	samples int
	// text is the size of all expositions and wire that of all requests, in bytes.
	text, wire int64
	// recorded is how long the targets were scraped for these, at the interval of the recording.
	recorded time.Duration
}

const (
	// batch is how many blobs a request holds; each sender has as many targets.
	batch = 50
	// firstGeneration is where each target's counter begins, as a collector's clock would set it.
	firstGeneration = 1_795_333_095_000_000_000
)

// newLoad prepares generations of scrapes for a number of targets, a multiple of batch: full blobs first, then increments.
func newLoad(token string, targets, generations int) (*load, error) {
	expositions, err := corpus.Node()
	if err != nil {
		return nil, err
	}
	if generations > len(expositions) {
		return nil, fmt.Errorf("there are %d recorded scrapes, not %d", len(expositions), generations)
	}
	l := &load{targets: targets, recorded: recorded(expositions[:generations])}
	for first := 0; first < targets; first += batch {
		requests, err := l.sender(token, first, expositions[:generations])
		if err != nil {
			return nil, err
		}
		l.senders = append(l.senders, requests)
	}
	return l, nil
}

// recorded returns how long it took to record scrapes, with the interval behind the last one.
func recorded(all []corpus.Exposition) time.Duration {
	span := time.Duration(all[len(all)-1].Time-all[0].Time) * time.Millisecond
	return span * time.Duration(len(all)) / time.Duration(max(len(all)-1, 1))
}

// sender prepares the requests of the targets from first on.
func (l *load) sender(token string, first int, expositions []corpus.Exposition) ([][]byte, error) {
	requests := make([]*zstatsv1.Request, len(expositions))
	for g := range requests {
		requests[g] = zstatsv1.NewRequest(token, nil)
	}
	for i := first; i < first+batch; i++ {
		blobs, err := l.blobs(i, expositions)
		if err != nil {
			return nil, err
		}
		for g, b := range blobs {
			requests[g].IData = append(requests[g].IData, zstatsv1.InstanceOf(targetName(i), b))
			requests[g].NInsts++
		}
	}
	bodies := make([][]byte, len(requests))
	var z zstatsv1.Compressor
	for g, r := range requests {
		bodies[g] = z.Append(nil, zstatsv1.AppendRequest(nil, r))
		l.wire += int64(len(bodies[g]))
	}
	return bodies, nil
}

// blobs turns a target's expositions into what its collector would send.
func (l *load) blobs(target int, expositions []corpus.Exposition) ([]*scrape.Blob, error) {
	parser := expo.NewParser([]scrape.Label{
		{Name: "instance", Value: instanceName(target)}, {Name: "job", Value: "node"},
	}, expo.Limits{})
	blobs := make([]*scrape.Blob, len(expositions))
	var last *scrape.Scrape
	var schema *scrape.Schema
	for g, e := range expositions {
		next, s, err := parser.Parse(e.Body, "text/plain; version=0.0.4", e.Time)
		if err != nil {
			return nil, err
		}
		s.Generation = firstGeneration + int64(g)
		if next == schema {
			blobs[g] = scrape.Increment(last, s)
		} else {
			blobs[g] = fullBlob(next, s)
		}
		last, schema = s, next
		l.scrapes++
		l.samples += len(s.Values)
		l.text += int64(len(e.Body))
	}
	return blobs, nil
}

func fullBlob(schema *scrape.Schema, s *scrape.Scrape) *scrape.Blob {
	b := &scrape.Blob{
		Generation: s.Generation, Time: s.Time, Samples: len(s.Values),
		Schema: schema, Values: s.Values, Times: make([]int64, len(s.Values)),
	}
	for i := range b.Times {
		b.Times[i] = s.Time
	}
	for _, stamp := range s.Stamps {
		b.Times[stamp.Index] = stamp.Time
	}
	return b
}

func instanceName(target int) string { return fmt.Sprintf("10.1.%d.%d:9100", target/250, target%250+1) }

func targetName(target int) string { return instanceName(target) + ".node" }
