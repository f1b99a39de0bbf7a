package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// stopLog notes in which order actors end.
type stopLog struct {
	mu    sync.Mutex // guards names
	names []string
}

func (l *stopLog) actor(name string) actor {
	return actor{name, func(ctx context.Context) error {
		<-ctx.Done()
		l.mu.Lock()
		defer l.mu.Unlock()
		l.names = append(l.names, name)
		return nil
	}}
}

func TestPhasesStopInOrder(t *testing.T) {
	var l stopLog
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := runPhases(ctx, time.Minute, []actor{l.actor("front")}, []actor{l.actor("middle")}, []actor{l.actor("back")})
	if err != nil {
		t.Error(err)
	}
	if want := []string{"front", "middle", "back"}; !slices.Equal(l.names, want) {
		t.Errorf("stopped %v, want %v", l.names, want)
	}
}

func TestOneActorEndsAll(t *testing.T) {
	var l stopLog
	broken := errors.New("broken")
	err := runPhases(t.Context(), time.Minute,
		[]actor{l.actor("front")},
		[]actor{{"bad", func(context.Context) error { return broken }}, l.actor("good")})
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "bad") {
		t.Errorf("error %v, want the actor's, with its name", err)
	}
	if len(l.names) != 2 {
		t.Errorf("stopped %v, want both others", l.names)
	}
}

func TestPhasesDoNotWaitForEver(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := runPhases(ctx, time.Millisecond, []actor{{"stuck", func(context.Context) error { <-release; return nil }}})
	if err == nil {
		t.Error("a stuck actor was waited for, or passed over in silence")
	}
}
