package ingest

import (
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"time"

	"go.uber.org/zap"

	"github.com/zstats/zstats/pkg/failpoint"
	"github.com/zstats/zstats/pkg/zstatsv1"
)

// What requests look like.
const (
	// Path is the only path that is served.
	Path = "/api/v1/zstats"
	// TokenHeader carries the token.
	TokenHeader = "Zebrium-Token"
	// ContentType is that of a body.
	ContentType = "application/octet-stream"
)

// errPanic is what a panic looks like from outside.
var errPanic = errors.New("internal error")

// retryAfter is the seconds after which a collector may come again, for those that read it.
const retryAfter = "5"

// serve answers one HTTP request.
func (i *Ingest) serve(w http.ResponseWriter, r *http.Request) {
	if !i.open.TryRLock() {
		i.refuse(w, r, fail(outcomeNotReady, errStopped))
		return
	}
	defer i.open.RUnlock()
	switch {
	case r.URL.Path != Path:
		i.refuse(w, r, fail(outcomePath, fmt.Errorf("only %s is served", Path)))
	case r.Method == http.MethodPost:
		i.servePost(w, r)
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		i.serveProbe(w, r)
	default:
		w.Header().Set("Allow", "GET, HEAD, POST")
		i.refuse(w, r, fail(outcomeMethod, fmt.Errorf("method %s is not allowed", r.Method)))
	}
}

// serveProbe tells a load balancer whether requests are taken.
func (i *Ingest) serveProbe(w http.ResponseWriter, r *http.Request) {
	if err := i.Ready(); err != nil {
		i.refuse(w, r, fail(outcomeNotReady, err))
		return
	}
	i.metrics.request(outcomeProbe)
	fmt.Fprintln(w, "OK")
}

func (i *Ingest) servePost(w http.ResponseWriter, r *http.Request) {
	i.metrics.inFlight.Inc()
	defer i.metrics.inFlight.Dec()
	began := time.Now()
	response, err := i.guarded(r)
	i.metrics.seconds.Observe(time.Since(began).Seconds())
	if err != nil {
		i.refuse(w, r, err)
		return
	}
	i.metrics.request(outcomeProcessed)
	reply(w, response)
	failpoint.Hit("ingest.answer.after")
}

// guarded is exchange, which a panic ends like an error.
func (i *Ingest) guarded(r *http.Request) (response *zstatsv1.Response, err error) {
	defer func() {
		if p := recover(); p != nil {
			i.logger.Error("a request panicked", zap.Any("panic", p), zap.ByteString("stack", debug.Stack()))
			response, err = nil, fail(outcomeInternal, errPanic)
		}
	}()
	return i.exchange(r)
}

// refuse answers a request that was not processed.
func (i *Ingest) refuse(w http.ResponseWriter, r *http.Request, err error) {
	o := outcomeOf(err)
	i.metrics.request(o)
	i.logRefusal(r, o, err)
	switch {
	case o.told():
		reply(w, zstatsv1.ErrorResponse(err.Error()))
		return
	case o.kept():
		w.Header().Set("Retry-After", retryAfter)
	}
	http.Error(w, err.Error(), o.status())
}

func (i *Ingest) logRefusal(r *http.Request, o outcome, err error) {
	write := i.logger.Warn
	switch o {
	case outcomePath, outcomeMethod, outcomeNotReady:
		write = i.logger.Debug // probes and scanners, or what readiness shows already
	case outcomeInternal:
		write = i.logger.Error
	}
	write("a request was not processed", zap.String("outcome", string(o)), zap.String("remote", r.RemoteAddr), zap.Error(err))
}

// reply writes a reply of the wire.
func reply(w http.ResponseWriter, response *zstatsv1.Response) {
	w.Header().Set("Content-Type", ContentType)
	// An error means that the collector is gone. It will send everything again.
	_, _ = w.Write(zstatsv1.AppendResponse(nil, response))
}
