package replay

import (
	"context"

	"github.com/zstats/zstats/pkg/render"
	"github.com/zstats/zstats/pkg/scrape"
)

// sink is where the scrapes of a replay go.
type sink interface {
	// begin starts a group.
	begin() error
	// take renders a scrape and prepares what settle does with it. It may be called concurrently, but not for one target. A
	// *render.Refusal says that the scrape can't be rendered.
	take(ctx context.Context, r *render.Renderer, one *one) error
	// settle finishes the scrapes of a group, in the order of the log, and counts them. It may be called while the next group is
	// taken.
	settle(all []*one, report *Report) error
	// finish comes behind the last group of a replay that was not interrupted.
	finish(report *Report) error
	close() error
}

// one is one scrape on its way.
type one struct {
	// message and part order the scrapes of a group: the message's place in it, and the scrape's in the message.
	message, part int
	target        scrape.Target
	state         *scrape.State // nil once it is taken
	// late tells that the scrape comes from a requeued dead letter, partial that its chain began with a state that is not the live
	// run's.
	late, partial bool
	samples       int

	file  *fileEntry   // of the sink that writes
	found []Difference // of the one that compares
}
