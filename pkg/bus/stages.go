package bus

import "github.com/zstats/zstats/pkg/event"

// AssemblerStage rebuilds scrapes from what collectors sent.
func AssemblerStage() Stage {
	return Stage{
		Name: event.StageAssembler, Input: event.Raw, Output: event.Scrapes,
		Subject: event.RawPartition, Partition: event.Partition,
	}
}

// WriterStage turns scrapes into files and events.
func WriterStage() Stage {
	return Stage{
		Name: event.StageWriter, Input: event.Scrapes, Output: event.Events,
		Subject: event.ScrapePartition, Partition: event.Partition,
	}
}
