package assembler

import (
	"testing"

	"github.com/zstats/zstats/pkg/bus/bustest"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/fold"
	"github.com/zstats/zstats/pkg/scrape"
)

// FuzzMessage folds any payload, behind a state of the log, without the guard against panics. What comes out must be states
// that can be encoded.
func FuzzMessage(f *testing.F) {
	d := newDevice("m", 5, 1)
	st, _ := (*scrape.State)(nil).Apply(d.full(), scrape.Arrival{Received: seconds(0), Sequence: 1})
	gap := newDevice("m", 5, 100)
	other := newDevice("other", 3, 50)
	for _, blobs := range [][]*scrape.Blob{
		{d.incremental(), d.incremental()}, {gap.incremental(), gap.full()}, other.chain(3), {other.incremental(), d.full()}, {},
	} {
		data, err := event.EncodeBlobs(blobs)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("garbage"))
	f.Fuzz(func(t *testing.T, data []byte) {
		blobs, err := event.DecodeBlobs(data)
		if err != nil {
			return
		}
		out := &fold.Result{State: st}
		for _, b := range blobs {
			out.Fold(b, scrape.Arrival{Received: seconds(1), Sequence: 2}, true)
		}
		if len(out.Outcomes) != len(blobs) || len(out.Accepted)+len(out.Refused) > len(blobs) {
			t.Fatalf("%d blobs have %d outcomes, %d are accepted and %d refused", len(blobs), len(out.Outcomes), len(out.Accepted), len(out.Refused))
		}
		outputs, err := newTarget(testTarget, bustest.Partitions).outputs(0, out.Accepted)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range outputs {
			decodeState(t, o.Message)
		}
		if _, err := event.EncodeBlobs(blobs); err != nil {
			t.Fatal(err)
		}
	})
}
