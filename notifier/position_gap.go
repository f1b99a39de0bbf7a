package notifier

import (
	"context"
	"maps"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/event/eventpb"
)

// tellGap sends what the position has missed, if there is something that this stream has not sent yet.
func (m *member) tellGap(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	g, err := m.position.Gap(ctx)
	if err != nil {
		return err
	}
	if !m.isNews(g) {
		return nil
	}
	m.metrics.gaps.Inc()
	return m.send(&eventpb.ConsumeResponse{Message: &eventpb.ConsumeResponse_Gap{Gap: gapOf(g)}})
}

// isNews reports whether a gap has not been told yet, and notes that it is told now.
func (m *member) isNews(g bus.Gap) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if g == (bus.Gap{}) || m.told[g.Last] {
		return false
	}
	m.told[g.Last] = true
	return true
}

// ackGap acknowledges a gap up to its last sequence, if it is one that was told.
func (m *member) ackGap(ctx context.Context, last uint64) error {
	m.mu.Lock()
	told := m.told[last]
	m.mu.Unlock()
	if !told {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	if _, err := m.position.AckGap(ctx, last); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.DeleteFunc(m.told, func(told uint64, _ bool) bool { return told <= last })
	return nil
}

func gapOf(g bus.Gap) *eventpb.Gap {
	if g == (bus.Gap{}) {
		return nil
	}
	return &eventpb.Gap{FirstSequence: g.First, LastSequence: g.Last}
}
