package collector

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/zstats/zstats/pkg/zstatsv1"
)

// answer classifies the outcome of a request by what to do about it.
type answer string

const (
	// answerOK: there is one code for each blob.
	answerOK answer = "ok"
	// answerUnknown: the request or its answer was lost on the way, or nobody can read the answer. Send it again.
	answerUnknown answer = "unknown"
	// answerUnavailable: the server can't take it now. Send it again.
	answerUnavailable answer = "unavailable"
	// answerUnauthorized: the server doesn't accept the token. Keep everything until somebody has mended that.
	answerUnauthorized answer = "unauthorized"
	// answerRefused: the server does not want this request, for something in it or for all that it knows.
	answerRefused answer = "refused"
)

func answers() []answer {
	return []answer{answerOK, answerUnknown, answerUnavailable, answerUnauthorized, answerRefused}
}

// sendError is why a request has no codes.
type sendError struct {
	answer answer
	// after is how long the server asks to wait; 0 if it doesn't.
	after time.Duration
	err   error
}

// Error implements error.
func (e *sendError) Error() string { return string(e.answer) + ": " + e.err.Error() }

// Unwrap returns the cause.
func (e *sendError) Unwrap() error { return e.err }

// client exchanges requests and replies with one server. Not for concurrent use.
type client struct {
	url     string
	token   string
	http    *http.Client
	timeout time.Duration
	zip     zstatsv1.Compressor
	body    []byte // of the last request, uncompressed
	metrics *metrics
}

const (
	// maxResponse bounds the reply that is read; one with a code for each of 4,096 blobs has 10 kB.
	maxResponse = 1 << 20
	// maxKept is the largest body whose memory is used again.
	maxKept = 32 << 20
)

// send posts the instances; none of them asks for the server's health. The error is a *sendError.
func (c *client) send(ctx context.Context, instances []zstatsv1.Instance) (*zstatsv1.Response, error) {
	start := time.Now()
	response, err := c.exchange(ctx, instances)
	c.metrics.requestSeconds.Observe(time.Since(start).Seconds())
	if err == nil {
		err = check(response, len(instances))
	}
	if err == nil {
		c.metrics.answered(answerOK)
		return response, nil
	}
	failure, ok := errors.AsType[*sendError](err)
	if !ok {
		failure = &sendError{answer: answerUnknown, err: err}
	}
	c.metrics.answered(failure.answer)
	return nil, failure
}

// check reports whether a reply says what became of n blobs.
func check(r *zstatsv1.Response, n int) error {
	if r.Err != "" {
		return &sendError{answer: answerRefused, err: fmt.Errorf("the server says %q", r.Err)}
	}
	return r.Check(n)
}

func (c *client) exchange(ctx context.Context, instances []zstatsv1.Instance) (*zstatsv1.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	// The transport may read the compressed body even after it has returned, so that one is not used again.
	body := c.encode(instances)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/octet-stream")
	req.Header.Set("Zebrium-Token", c.token)
	c.metrics.sentBytes.Add(float64(len(body)))
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxResponse))
	if resp.StatusCode != http.StatusOK {
		return nil, statusError(resp, data)
	}
	if err != nil {
		return nil, fmt.Errorf("read reply: %w", err)
	}
	return zstatsv1.DecodeResponse(data)
}

// encode returns the compressed body of a request.
func (c *client) encode(instances []zstatsv1.Instance) []byte {
	c.body = zstatsv1.AppendRequest(c.body[:0], zstatsv1.NewRequest(c.token, instances))
	packed := c.zip.Append(nil, c.body)
	if cap(c.body) > maxKept {
		c.body = nil
	}
	return packed
}

func statusError(resp *http.Response, body []byte) *sendError {
	const shown = 200
	text := strings.ToValidUTF8(string(body[:min(len(body), shown)]), "?")
	return &sendError{
		answer: classify(resp.StatusCode),
		after:  retryAfter(resp.Header.Get("Retry-After"), time.Now()),
		err:    fmt.Errorf("status %s: %q", resp.Status, strings.TrimSpace(text)),
	}
}

// classify says what a status other than 200 means.
func classify(status int) answer {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return answerUnauthorized
	case http.StatusRequestTimeout, http.StatusTooManyRequests:
		return answerUnavailable
	}
	if status >= 500 {
		return answerUnavailable
	}
	return answerRefused
}

// retryAfter reads the header of that name: a number of seconds or a date (RFC 9110, section 10.2.3). Anything else is 0.
func retryAfter(header string, now time.Time) time.Duration {
	const most = 5 * time.Minute
	if header == "" {
		return 0
	}
	var wait time.Duration
	if seconds, err := strconv.ParseUint(header, 10, 32); err == nil {
		wait = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(header); err == nil {
		wait = at.Sub(now)
	}
	return min(max(wait, 0), most)
}
