// Package archivetest puts scrapes into directories of files, for tests.
package archivetest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/zstats/zstats/pkg/archive"
	"github.com/zstats/zstats/pkg/expo"
	"github.com/zstats/zstats/pkg/scrape"
)

// Write puts a scrape of a target below dir as the writer would, with the given exposition. Its labels have the target's name
// as instance, it began a millisecond before its epoch, in microseconds, and its generation is its epoch.
func Write(tb testing.TB, dir string, target scrape.Target, epoch int64, exposition string) *archive.Metadata {
	tb.Helper()
	schema, s, err := expo.Parse([]byte(exposition), "", expo.ParseOptions{
		Time: epoch/1000 - 1, ExtraLabels: []scrape.Label{{Name: "instance", Value: target.Name}},
	})
	if err != nil {
		tb.Fatal(err)
	}
	s.Epoch, s.Received, s.Generation = epoch, epoch, epoch
	template := expo.NewTemplate(schema)
	data, _, err := template.AppendGzip(nil, s, new(expo.Compressor))
	if err != nil {
		tb.Fatal(err)
	}
	m := archive.NewMetadata(target, &scrape.State{Scrape: *s}, template)
	p := archive.ScrapePaths(target, epoch)
	if err := os.MkdirAll(filepath.Join(dir, p.Dir), 0o755); err != nil {
		tb.Fatal(err)
	}
	for name, content := range map[string][]byte{p.Data: data, p.Metadata: m.Append(nil)} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			tb.Fatal(err)
		}
	}
	return m
}
