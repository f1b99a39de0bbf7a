package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/zstats/zstats/pkg/account"
	"github.com/zstats/zstats/pkg/failpoint"
	"github.com/zstats/zstats/pkg/zstatsv1"
)

// exchange works on one POST. When it returns nil, everything that its reply says is stored is durable.
func (i *Ingest) exchange(r *http.Request) (*zstatsv1.Response, error) {
	received := i.now().UnixMicro()
	grant, err := i.authenticate(r)
	if err != nil {
		return nil, err
	}
	if err := i.Ready(); err != nil {
		return nil, fail(outcomeNotReady, err)
	}
	request, err := i.take(r)
	if err != nil {
		return nil, err
	}
	defer request.close()
	return i.process(r.Context(), request, grant, received)
}

// authenticate returns what the token in the request's header stands for. The copy in the body counts for nothing.
func (i *Ingest) authenticate(r *http.Request) (account.Grant, error) {
	token := r.Header.Get(TokenHeader)
	if token == "" {
		return account.Grant{}, fail(outcomeNoToken, fmt.Errorf("header %s is missing or empty", TokenHeader))
	}
	grant, ok := i.tokens.Lookup(token)
	if !ok {
		return account.Grant{}, fail(outcomeUnknownToken, errors.New("the token is unknown"))
	}
	return grant, nil
}

// take reads and decodes the body.
func (i *Ingest) take(r *http.Request) (*decoded, error) {
	request, err := i.takeUndrained(r)
	if outcomeOf(err) == outcomeRefused {
		// A collector that can't send its body to the end doesn't read the reply, takes the connection for lost, and comes
		// again with the same for ever. So what will be refused is read, within bounds.
		_, _ = io.CopyN(io.Discard, r.Body, i.intake.limits.BodyBytes)
	}
	return request, err
}

func (i *Ingest) takeUndrained(r *http.Request) (*decoded, error) {
	if got := r.Header.Get("Content-Type"); got != ContentType {
		return nil, fail(outcomeRefused, fmt.Errorf("Content-Type is %q, only %s is understood", got, ContentType))
	}
	b := new(body)
	defer i.intake.drop(b)
	if err := i.intake.read(r, b); err != nil {
		return nil, err
	}
	return i.intake.decode(r.Context(), b)
}

// process judges the blobs of a request, stores what is to be stored and returns the reply.
func (i *Ingest) process(ctx context.Context, d *decoded, grant account.Grant, received int64) (*zstatsv1.Response, error) {
	n := len(d.request.IData)
	groups := byTarget(d.request, grant, i.partitions, i.intake.limits.Wire)
	i.metrics.arrived(groups)
	release, err := i.locks.acquire(ctx, subjects(groups))
	if err != nil {
		return nil, fail(outcomeInterrupted, fmt.Errorf("wait for requests with the same targets: %w", err))
	}
	defer release()
	for _, g := range groups {
		if err := i.judge(ctx, g, received); err != nil {
			return nil, fail(outcomeLog, err)
		}
		if err := g.encode(); err != nil {
			return nil, err
		}
	}
	letters, err := i.letters(groups, d.request, received)
	if err != nil {
		return nil, err
	}
	d.free()
	// RAW comes first: what lies there is a duplicate if the rest fails and the request is sent again.
	if err := i.store(ctx, groups, received); err != nil {
		return nil, err
	}
	if err := i.bury(ctx, letters); err != nil {
		return nil, err
	}
	i.metrics.answered(groups)
	failpoint.Hit("ingest.answer.before")
	return zstatsv1.NewResponse(i.minPoll, codes(groups, n)), nil
}

// judge decides about a target's blobs by the head that is remembered, and once more by what the log says now if the first
// decision was to ask for a full blob because of that head.
func (i *Ingest) judge(ctx context.Context, g *group, received int64) error {
	if !g.judged() {
		g.judgement = judge(nil, 0, g.blobs)
		return nil
	}
	mark := i.marks.of(g.mark)
	head := i.heads.cached(g.subject, received)
	remembered := head != nil
	if remembered {
		g.judgement = judge(head, mark, g.blobs)
		if !g.judgement.doubtful {
			g.head = *head
			return nil
		}
	}
	head, err := i.heads.read(ctx, g.subject, received, readCauseOf(remembered))
	if err != nil {
		return fmt.Errorf("target %s: %w", g.target, err)
	}
	g.judgement = judge(head, mark, g.blobs)
	if head != nil {
		g.head = *head
	}
	return nil
}
