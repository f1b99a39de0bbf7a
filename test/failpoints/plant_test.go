package failpoints

import (
	"context"
	"path/filepath"
	"time"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/scrape"
)

// Targets of messages that no collector can have sent: one that the assembler can't decode, and one that the writer can't.
const (
	rawPoison    = "poison-raw:1.j"
	scrapePoison = "poison-scrape:1.j"
	// plantedRaw and plantedScrape are what their dead letters say of RAW: the message's sequence, and that nobody can tell.
	plantedRaw, plantedScrape = 1, 0
)

// plant makes a data directory whose log holds such messages.
func plant(ctx context.Context, dir string) error {
	return withLog(ctx, dir, func(b *bus.Bus) error {
		if err := b.EnsureStreams(ctx, event.Topology(event.Limits{}), event.DefaultPartitions); err != nil {
			return err
		}
		raw := scrape.Target{Account: account, Name: rawPoison}
		h := event.TargetHeader(raw)
		event.Head{Received: time.Now().UnixMicro(), Run: scrape.Run{First: 1, Last: 1}, Samples: 1}.Set(h)
		garbage := []byte("no payload")
		_, err := b.Append(ctx, event.Raw, bus.Message{Subject: event.RawSubject(raw, event.DefaultPartitions), Header: h, Data: garbage})
		if err != nil {
			return err
		}
		rebuilt := scrape.Target{Account: account, Name: scrapePoison}
		_, err = b.Append(ctx, event.Scrapes, bus.Message{
			Subject: event.ScrapeSubject(rebuilt, event.DefaultPartitions), Header: event.TargetHeader(rebuilt), Data: garbage,
		})
		return err
	})
}

// withLog opens the log of a data directory that no process uses.
func withLog(ctx context.Context, dir string, f func(*bus.Bus) error) error {
	server, err := bus.StartServer(ctx, bus.ServerOptions{Dir: filepath.Join(dir, "jetstream")})
	if err != nil {
		return err
	}
	defer server.Close()
	b, err := bus.Connect(bus.Options{Server: server, Name: "failpoints"})
	if err != nil {
		return err
	}
	defer b.Close()
	return f(b)
}
