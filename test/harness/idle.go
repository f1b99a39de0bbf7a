package harness

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/event"
)

// LogURL returns the address of the embedded log, with its token. Each start has another one.
func (z *Zstats) LogURL() (string, error) {
	url, err := os.ReadFile(filepath.Join(z.Dir, "nats-url"))
	return strings.TrimSpace(string(url)), err
}

// Idle reports which stage has something to do, or nil, by what the log says now. The metrics of lag are some seconds old.
func (z *Zstats) Idle(ctx context.Context) error {
	url, err := z.LogURL()
	if err != nil {
		return err
	}
	b, err := bus.Connect(bus.Options{URL: url})
	if err != nil {
		return err
	}
	defer b.Close()
	for _, stage := range []bus.Stage{bus.AssemblerStage(), bus.WriterStage()} {
		partitions, err := b.StageStatus(ctx, stage, event.DefaultPartitions)
		if err != nil {
			return err
		}
		for _, p := range partitions {
			if p.Lag > 0 {
				return fmt.Errorf("stage %s lags in partition %d", stage.Name, p.Partition)
			}
		}
	}
	return nil
}
