// Package corpus holds recorded scrapes of real targets, and of a synthetic one with many series that come and go.
package corpus

import (
	"archive/tar"
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"
)

//go:embed node.tar.zst
var node []byte

//go:embed prometheus.tar.zst
var prometheus []byte

//go:embed churn.tar.zst
var churn []byte

// Exposition is one recorded scrape.
type Exposition struct {
	// Time is when it was recorded, milliseconds since the Unix epoch.
	Time int64
	// Body is in the text format 0.0.4.
	Body []byte
}

// Node returns 40 scrapes of a node exporter with 532 samples, 5 s apart.
func Node() ([]Exposition, error) { return read(node) }

// Prometheus returns 12 scrapes of a Prometheus server, 5 s apart.
func Prometheus() ([]Exposition, error) { return read(prometheus) }

// Churn returns 4 scrapes of a synthetic target with 21,220 samples, some of whose series come and go.
func Churn() ([]Exposition, error) { return read(churn) }

func read(archive []byte) ([]Exposition, error) {
	z, err := zstd.NewReader(bytes.NewReader(archive))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	var all []Exposition
	for t := tar.NewReader(z); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		name := strings.TrimSuffix(path.Base(h.Name), ".txt")
		ms, err := strconv.ParseInt(name, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("recorded scrape %q: %w", h.Name, err)
		}
		body, err := io.ReadAll(t)
		if err != nil {
			return nil, err
		}
		all = append(all, Exposition{Time: ms, Body: body})
	}
}
