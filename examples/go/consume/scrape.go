package main

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/zstats/zstats/pkg/event/eventpb"
)

// about is the part of a scrape's metadata that its samples are not complete without.
type about struct {
	// Common are the labels that every sample has; the data leaves them out.
	Common []struct {
		Key   model.LabelName  `json:"key"`
		Value model.LabelValue `json:"value"`
	} `json:"kvs"`
	// TimeMS is the time of samples that have none of their own, milliseconds since the Unix epoch.
	TimeMS int64 `json:"dts"`
}

// readScrape returns all samples of a scrape, with all their labels and their times.
func readScrape(files *os.Root, e *eventpb.ScrapeWritten) (model.Vector, error) {
	line, err := files.ReadFile(e.GetMetadataPath())
	if err != nil {
		return nil, err
	}
	var a about
	if err := json.Unmarshal(line, &a); err != nil {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	families, err := readData(files, e.GetDataPath())
	if err != nil {
		return nil, err
	}
	samples, err := expfmt.ExtractSamples(&expfmt.DecodeOptions{Timestamp: model.Time(a.TimeMS)}, families...)
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	for _, s := range samples {
		for _, l := range a.Common {
			s.Metric[l.Key] = l.Value
		}
	}
	return samples, nil
}

// readData reads the text, to its end, where gzip has a checksum. It returns the families in order of their names.
func readData(files *os.Root, path string) ([]*dto.MetricFamily, error) {
	f, err := files.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(bufio.NewReader(f))
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	p := expfmt.NewTextParser(model.UTF8Validation)
	byName, err := p.TextToMetricFamilies(z)
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	var families []*dto.MetricFamily
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		families = append(families, byName[name])
	}
	return families, nil
}
