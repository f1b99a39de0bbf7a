package ingest

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"go.uber.org/zap"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/event/eventpb"
	"github.com/zstats/zstats/pkg/failpoint"
	"github.com/zstats/zstats/pkg/scrape"
	"github.com/zstats/zstats/pkg/zstatsv1"
)

const (
	// deadRefused is the reason in the dead letters of ingest: the blob can never be accepted.
	deadRefused = "refused"
	// maxDetail bounds the text of a dead letter, in bytes.
	maxDetail = 1000
)

// letters returns a dead letter for each refused blob. Its payload is a request on the wire, compressed, that holds nothing but
// the blob: no other form can hold whatever made it unacceptable.
func (i *Ingest) letters(groups []*group, request *zstatsv1.Request, received int64) (out []bus.Message, err error) {
	each(groups, func(g *group, k int, v verdict) {
		if v.action != actionRefuse || err != nil {
			return
		}
		var m bus.Message
		if m, err = i.letter(g.target, &request.IData[g.positions[k]], g.blobs[k].err, received); err == nil {
			out = append(out, m)
		}
	})
	return out, err
}

func (i *Ingest) letter(t scrape.Target, in *zstatsv1.Instance, why error, received int64) (bus.Message, error) {
	alone := zstatsv1.NewRequest("", []zstatsv1.Instance{*in})
	data, err := event.Marshal(&eventpb.DeadLetter{
		Reason:     deadRefused,
		Detail:     tidy(why.Error(), maxDetail),
		ReceivedUs: received,
		Payload:    i.gzip.Append(nil, zstatsv1.AppendRequest(nil, alone)),
		Undecoded:  true,
	})
	if err != nil {
		return bus.Message{}, fmt.Errorf("dead letter of target %q: %w", t.Name, err)
	}
	t.Name = tidy(t.Name, zstatsv1.MaxNameBytes)
	h := event.TargetHeader(t)
	h[event.HeaderReceived] = strconv.FormatInt(received, 10)
	return bus.Message{Subject: event.DeadSubject(t), Header: h, Data: data}, nil
}

// bury appends dead letters to DEAD.
func (i *Ingest) bury(ctx context.Context, letters []bus.Message) error {
	if len(letters) == 0 {
		return nil
	}
	failpoint.Hit("ingest.dead.before")
	if _, err := i.dead.Append(ctx, letters); err != nil {
		return fail(outcomeLog, err)
	}
	failpoint.Hit("ingest.dead.after")
	first := letters[0].Header
	i.logger.Warn("blobs were refused for ever and lie in DEAD", zap.Int("blobs", len(letters)),
		zap.String("account", first[event.HeaderAccount]), zap.String("first_target", first[event.HeaderTarget]))
	return nil
}

// tidy makes any bytes a text for headers and logs of at most limit bytes.
func tidy(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s) // turns bytes that are no UTF-8 into replacement characters too
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "")
	}
	return s
}
