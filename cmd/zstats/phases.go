package main

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// actor is a part of the process. Its run returns when its last goroutine has ended.
type actor struct {
	name string
	run  func(context.Context) error
}

// runPhases runs the actors of all phases at the same time until ctx ends or one of them returns. Then it stops the phases
// in order, waiting for each before the next, so that what one phase took can still be handed to those behind it. It
// returns the first error.
func runPhases(ctx context.Context, within time.Duration, phases ...[]actor) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	group := &phaseGroup{stop: cancel}
	var stops []context.CancelFunc
	var running []*sync.WaitGroup
	for _, phase := range phases {
		phaseCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
		stops = append(stops, stop)
		running = append(running, group.start(phaseCtx, phase))
	}
	<-ctx.Done()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for i, stop := range stops {
			stop()
			running[i].Wait()
		}
	}()
	select {
	case <-ended:
		return group.err
	case <-time.After(within):
		return fmt.Errorf("not all parts stopped within %s: what they had not committed will be done again after the next start", within)
	}
}

// phaseGroup collects the first error of all actors.
type phaseGroup struct {
	stop context.CancelFunc
	once sync.Once
	err  error
}

// start runs actors; the end of any of them before its context's ends all phases.
func (g *phaseGroup) start(ctx context.Context, actors []actor) *sync.WaitGroup {
	running := new(sync.WaitGroup)
	for _, a := range actors {
		running.Go(func() {
			err := a.run(ctx)
			if err == nil && ctx.Err() == nil {
				err = fmt.Errorf("ended by itself")
			}
			if err != nil {
				g.once.Do(func() { g.err = fmt.Errorf("%s: %w", a.name, err) })
			}
			g.stop()
		})
	}
	return running
}
