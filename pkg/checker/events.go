package checker

import (
	"context"

	"github.com/zstats/zstats/pkg/event/eventpb"
	"github.com/zstats/zstats/pkg/scrape"
	"github.com/zstats/zstats/pkg/subscribe"
)

// Events reads all events that a notifier keeps up to now. Trimmed tells that there were earlier ones.
func Events(ctx context.Context, client *subscribe.Client) (all []Notified, trimmed bool, err error) {
	var end uint64 // the sequence of the next event when the reading begins
	err = client.Follow(ctx, nil, func(u subscribe.Update) error {
		if u.Started == nil {
			return nil
		}
		end = u.Started.GetNextSequence()
		return subscribe.ErrDone
	})
	if err != nil {
		return nil, false, err
	}
	all = []Notified{}
	from := &eventpb.SubscribeRequest{From: &eventpb.SubscribeRequest_FromSequence{FromSequence: 1}}
	err = client.Follow(ctx, from, func(u subscribe.Update) error {
		switch {
		case u.Gap != nil:
			trimmed = true
		case u.Event != nil:
			all = append(all, NotifiedBy(u.Event))
		case u.Progress != nil && u.Progress.GetNextSequence() >= end:
			return subscribe.ErrDone
		}
		return nil
	})
	if err != nil {
		return nil, false, err
	}
	return all, trimmed, nil
}

// NotifiedBy returns what an event says.
func NotifiedBy(e *eventpb.ScrapeWritten) Notified {
	return Notified{
		Target:     scrape.Target{Account: e.GetAccount(), Source: e.GetSource(), Name: e.GetTarget()},
		Generation: e.GetGeneration(),
		Epoch:      e.GetEpochUs(),
		Sequence:   e.GetSequence(),
		Late:       e.GetLate(),
	}
}
