package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"time"

	"github.com/prometheus/common/model"

	"github.com/zstats/zstats/pkg/event/eventpb"
)

// worker is what this consumer does with scrapes. Put your own work here.
type worker struct {
	files       *os.Root
	journal     *journal
	metric      string
	skipMissing bool
	by          string
}

// work does what is to be done with scrapes, if it was not done before. When it returns nil, all of it is durable.
func (w *worker) work(events []*eventpb.ScrapeWritten) error {
	var results []result
	for _, e := range events {
		if w.journal.has(idOf(e)) {
			continue
		}
		r, err := w.look(e)
		if err != nil {
			return err
		}
		results = append(results, r)
	}
	added, err := w.journal.add(results)
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	for _, r := range added {
		fmt.Println(r)
	}
	return nil
}

// look reads a scrape's files.
func (w *worker) look(e *eventpb.ScrapeWritten) (result, error) {
	r := result{id: idOf(e), TimeMS: e.GetDefaultTimestampMs(), Metric: w.metric, By: w.by}
	s, err := readScrape(w.files, e)
	if errors.Is(err, fs.ErrNotExist) && w.skipMissing {
		r.Missing = true
		return r, nil
	}
	if err != nil {
		// It is not acknowledged: once the cause is mended, it comes again.
		return r, fmt.Errorf("scrape %s: %w", e.GetDataPath(), err)
	}
	r.Samples = len(s)
	for _, sample := range s {
		if string(sample.Metric[model.MetricNameLabel]) == w.metric {
			r.Value = strconv.FormatFloat(float64(sample.Value), 'g', -1, 64)
			break
		}
	}
	return r, nil
}

// id names a scrape for ever. An event's sequence does not: after a repair of the log the same scrape may have another one.
type id struct {
	Account string `json:"account"`
	Source  string `json:"source"`
	Target  string `json:"target"`
	Epoch   int64  `json:"epoch"` // microseconds since the Unix epoch
}

func idOf(e *eventpb.ScrapeWritten) id {
	return id{e.GetAccount(), e.GetSource(), e.GetTarget(), e.GetEpochUs()}
}

// result is what is known of a scrape, and a line of the journal.
type result struct {
	id
	TimeMS  int64  `json:"time_ms"` // when it was scraped, milliseconds since the Unix epoch
	Samples int    `json:"samples"`
	Metric  string `json:"metric"`
	Value   string `json:"value"` // empty if the scrape has no such metric; text, since JSON has no NaN
	Missing bool   `json:"missing,omitempty"`
	By      string `json:"by"` // which member has done it
}

// String returns the result as it is shown.
func (r result) String() string {
	at := time.UnixMilli(r.TimeMS).Format(time.TimeOnly)
	if r.Missing {
		return fmt.Sprintf("%s  %s  %s  its files were removed", at, r.Account, r.Target)
	}
	shown := "no " + r.Metric
	if r.Value != "" {
		shown = r.Metric + "=" + r.Value
	}
	return fmt.Sprintf("%s  %s  %s  %d samples  %s", at, r.Account, r.Target, r.Samples, shown)
}
