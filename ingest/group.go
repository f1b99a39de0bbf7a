package ingest

import (
	"errors"
	"slices"
	"strings"

	"github.com/zstats/zstats/pkg/account"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/scrape"
	"github.com/zstats/zstats/pkg/zstatsv1"
)

// group is what one request holds of one target.
type group struct {
	target  scrape.Target
	subject string // of its messages in RAW; names the target in caches and locks
	mark    string // its key among the resync marks
	// positions are where the blobs stand in the request, ascending.
	positions []int
	blobs     []incoming

	// judgement is what judge said.
	judgement judgement
	// head is what the log will say of the target once messages are stored.
	head     event.Head
	messages []rawMessage
}

// judged reports whether the group has a blob that judge must see, which needs a head.
func (g *group) judged() bool {
	for i := range g.blobs {
		if !errors.Is(g.blobs[i].err, zstatsv1.ErrRefused) {
			return true
		}
	}
	return false
}

// byTarget turns the instances of a request into blobs and groups them by target, sorted by subject.
func byTarget(request *zstatsv1.Request, grant account.Grant, partitions int, limits zstatsv1.Limits) []*group {
	groups := make([]*group, 0, len(request.IData))
	byName := make(map[string]*group, len(request.IData))
	for i := range request.IData {
		in := &request.IData[i]
		g := byName[in.Instance]
		if g == nil {
			g = newGroup(scrape.Target{Account: grant.Account, Source: grant.Source, Name: in.Instance}, partitions)
			byName[in.Instance] = g
			groups = append(groups, g)
		}
		blob, err := in.Blob(limits)
		g.positions = append(g.positions, i)
		g.blobs = append(g.blobs, incoming{generation: in.Gen, full: !in.IsIncr, blob: blob, err: err})
	}
	slices.SortFunc(groups, func(a, b *group) int { return strings.Compare(a.subject, b.subject) })
	return groups
}

func newGroup(t scrape.Target, partitions int) *group {
	return &group{
		target:  t,
		subject: event.RawSubject(t, partitions),
		mark:    event.TargetKey(t),
	}
}

func subjects(groups []*group) []string {
	out := make([]string, len(groups))
	for i, g := range groups {
		out[i] = g.subject
	}
	return out
}

// codes returns the code for each blob of a request of n, in its order.
//
// A collector that finds a 2 in a reply gives up everything in it that isn't 0, so a 2 beside a 1 would lose the blob with the
// 1. A refused blob lies in the dead letters by now, and whether it is 0 or 2 changes nothing for it.
func codes(groups []*group, n int) []int8 {
	out := make([]int8, n)
	refused := zstatsv1.CodeFailed
	each(groups, func(_ *group, _ int, v verdict) {
		if v.action == actionResend {
			refused = zstatsv1.CodeStored
		}
	})
	each(groups, func(g *group, i int, v verdict) {
		switch v.action {
		case actionResend:
			out[g.positions[i]] = zstatsv1.CodeSendFull
		case actionRefuse:
			out[g.positions[i]] = refused
		}
	})
	return out
}

// each calls f with every verdict and the blob's number in its group.
func each(groups []*group, f func(g *group, i int, v verdict)) {
	for _, g := range groups {
		for i, v := range g.judgement.verdicts {
			f(g, i, v)
		}
	}
}
