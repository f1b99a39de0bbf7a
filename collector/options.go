package collector

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/zstats/zstats/pkg/scrape"
	"github.com/zstats/zstats/pkg/zstatsv1"
)

// Target is one endpoint to scrape. Its name on the server is "<instance>.<job>".
type Target struct {
	// Job is the value of the label job.
	Job string
	// URL is where the metrics are, for example http://localhost:9100/metrics. A URL without a path means /metrics.
	URL string
	// Instance is the value of the label instance; empty for the URL's host and port.
	Instance string
}

// Ledger notes what a collector sends and how it is answered, so that it can be compared with what the server has written. Its
// methods are called by one goroutine.
type Ledger interface {
	// Sent is called before each request, with every scrape in it. The server will rebuild the scrape exactly as it is.
	Sent(target string, schema *scrape.Schema, s *scrape.Scrape)
	// Answered is called with the wire's code for a scrape. It is not called for a request without an answer that says.
	Answered(target string, generation int64, code int8)
}

// Options configure a Collector. Server, Token and Targets are required; every other zero value stands for the default.
type Options struct {
	// Server is the URL of the server. One without a path means /api/v1/zstats.
	Server string
	// Token is what the server knows the account by.
	Token   string
	Targets []Target
	// Labels are added to every sample of every target, as instance and job are.
	Labels []scrape.Label

	// Interval is the time between two scrapes of a target, 15 s by default; a server may ask for more.
	Interval time.Duration
	// Timeout bounds one scrape: 10 s by default, or the interval if that is less.
	Timeout time.Duration
	// BodyBytes bounds what one scrape may hold, uncompressed: 128 MiB by default.
	BodyBytes int
	// Samples bounds the samples of one scrape: 500,000 by default.
	Samples int
	// Proven sends a full blob also where the server would rebuild every value but could prove it for some of them only. With
	// a node exporter that is nearly every blob, at 15 kB instead of 2 kB.
	Proven bool

	// Flush is how long a blob may wait for others to share its request: 5 s by default.
	Flush time.Duration
	// Batch is the largest number of blobs in a request: 200 by default.
	Batch int
	// BatchBytes bounds a request before its compression, roughly: 16 MiB by default. A single blob may be larger.
	BatchBytes int64
	// QueueBlobs is the largest number of blobs of one target that wait in memory: 240 by default.
	QueueBlobs int
	// QueueBytes bounds the memory of all blobs that wait: 256 MiB by default.
	QueueBytes int64
	// BufferDir is a directory for blobs that can't be delivered; empty for none. Only one collector may use it.
	BufferDir string
	// BufferBytes bounds the files there: 1 GiB by default.
	BufferBytes int64
	// RequestTimeout bounds one request to the server with its answer: 60 s by default.
	RequestTimeout time.Duration
	// StopTimeout bounds how long Run goes on sending after its context has ended: 5 s by default.
	StopTimeout time.Duration

	// Ledger is told what is sent and answered; nil for nobody.
	Ledger Ledger

	// Client sends to the server, ScrapeClient to the targets; nil for clients of their own. Of Client only the transport
	// is used: redirects are not followed, because the token would go with them.
	Client       *http.Client
	ScrapeClient *http.Client
	// Logger and Registerer may be nil.
	Logger     *zap.Logger
	Registerer prometheus.Registerer
}

// defaultPath is where a server takes requests.
const defaultPath = "/api/v1/zstats"

// withDefaults returns the options with every zero value replaced.
func (o Options) withDefaults() Options {
	orDefault(&o.Interval, 15*time.Second)
	orDefault(&o.Timeout, min(10*time.Second, o.Interval))
	orDefault(&o.BodyBytes, 128<<20)
	orDefault(&o.Samples, 500_000)
	orDefault(&o.Flush, 5*time.Second)
	orDefault(&o.Batch, 200)
	orDefault(&o.BatchBytes, 16<<20)
	orDefault(&o.QueueBlobs, 240)
	orDefault(&o.QueueBytes, 256<<20)
	orDefault(&o.BufferBytes, 1<<30)
	orDefault(&o.RequestTimeout, time.Minute)
	orDefault(&o.StopTimeout, 5*time.Second)
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	return o
}

func orDefault[T comparable](v *T, value T) {
	var zero T
	if *v == zero {
		*v = value
	}
}

// validate checks everything that can be checked without the targets.
func (o *Options) validate() error {
	if err := checkToken(o.Token); err != nil {
		return err
	}
	if len(o.Targets) == 0 {
		return errors.New("no targets: name at least one to scrape")
	}
	for _, limit := range []struct {
		name  string
		value int64
	}{
		{"Interval", int64(o.Interval)}, {"Timeout", int64(o.Timeout)}, {"BodyBytes", int64(o.BodyBytes)},
		{"Samples", int64(o.Samples)}, {"Flush", int64(o.Flush)}, {"Batch", int64(o.Batch)},
		{"BatchBytes", o.BatchBytes}, {"QueueBlobs", int64(o.QueueBlobs)}, {"QueueBytes", o.QueueBytes},
		{"BufferBytes", o.BufferBytes}, {"RequestTimeout", int64(o.RequestTimeout)}, {"StopTimeout", int64(o.StopTimeout)},
	} {
		if limit.value < 0 {
			return fmt.Errorf("%s is %d, it must be positive", limit.name, limit.value)
		}
	}
	if o.Timeout > o.Interval {
		return fmt.Errorf("timeout %v is longer than the interval %v", o.Timeout, o.Interval)
	}
	if most := zstatsv1.DefaultLimits().Blobs; o.Batch > most {
		return fmt.Errorf("batch of %d blobs: servers take at most %d in a request", o.Batch, most)
	}
	return checkLabels(o.Labels)
}

// checkToken checks that a token can travel in a header.
func checkToken(token string) error {
	if token == "" {
		return errors.New("no token: the server needs one to know the account")
	}
	for i := 0; i < len(token); i++ {
		if token[i] <= ' ' || token[i] >= 0x7f {
			return errors.New("the token has a blank or a character that is not ASCII")
		}
	}
	return nil
}

func checkLabels(labels []scrape.Label) error {
	seen := map[string]bool{instanceLabel: true, jobLabel: true, scrape.MetricName: true}
	for _, l := range labels {
		switch {
		case l.Name == "":
			return fmt.Errorf("a label with the value %q has no name", l.Value)
		case seen[l.Name]:
			return fmt.Errorf("label %q is given twice, or is one that every sample has anyway", l.Name)
		case !utf8.ValidString(l.Name) || !utf8.ValidString(l.Value):
			return fmt.Errorf("label %q is not UTF-8", l.Name)
		}
		seen[l.Name] = true
	}
	return nil
}

// parseServer returns the URL to post to.
func parseServer(raw string) (string, error) {
	u, err := parseURL(raw)
	if err != nil {
		return "", fmt.Errorf("server: %w", err)
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = defaultPath
	}
	return u.String(), nil
}

// parseURL reads an absolute URL of HTTP.
func parseURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil {
		// The error's own text has the URL whole, and a password may be in it.
		if inner, ok := errors.AsType[*url.Error](err); ok {
			err = inner.Err
		}
		return nil, fmt.Errorf("%w: want http://HOST:PORT", err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return nil, fmt.Errorf("%q: want http://HOST:PORT or https://HOST:PORT", u.Redacted())
	}
	return u, nil
}

// hostPort returns the host and port that a URL means.
func hostPort(u *url.URL) string {
	if u.Port() != "" {
		return u.Host
	}
	port := "80"
	if u.Scheme == "https" {
		port = "443"
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// checkName checks a target's name as a server would.
func checkName(name string) error {
	switch {
	case len(name) > zstatsv1.MaxNameBytes:
		return fmt.Errorf("the name has %d bytes, servers take at most %d", len(name), zstatsv1.MaxNameBytes)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("the name %q is not UTF-8 or has a control character", name)
	}
	return nil
}
