package collector

import (
	"net/http"
	"testing"
	"time"

	"github.com/zstats/zstats/pkg/zstatsv1"
	"github.com/zstats/zstats/test/corpus"
)

// encodePlain returns the body of a request with one blob, uncompressed.
func encodePlain(p *pending) []byte {
	return zstatsv1.AppendRequest(nil, zstatsv1.NewRequest(testToken, []zstatsv1.Instance{zstatsv1.InstanceOf(p.target, p.blob())}))
}

func TestClassify(t *testing.T) {
	want := map[int]answer{
		204: answerRefused, 301: answerRefused, 400: answerRefused, 401: answerUnauthorized, 403: answerUnauthorized,
		404: answerRefused, 405: answerRefused, 408: answerUnavailable, 413: answerRefused, 415: answerRefused,
		429: answerUnavailable, 500: answerUnavailable, 501: answerUnavailable, 502: answerUnavailable,
		503: answerUnavailable, 504: answerUnavailable, 507: answerUnavailable, 599: answerUnavailable,
	}
	for status, a := range want {
		if got := classify(status); got != a {
			t.Errorf("%d is %s, not %s", status, got, a)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for header, want := range map[string]time.Duration{
		"": 0, "0": 0, "7": 7 * time.Second, "-7": 0, "1.5": 0, "soon": 0, "100000": 5 * time.Minute, "99999999999999": 0,
		now.Add(30 * time.Second).Format(http.TimeFormat): 30 * time.Second,
		now.Add(-time.Hour).Format(http.TimeFormat):       0,
		now.Add(time.Hour).Format(http.TimeFormat):        5 * time.Minute,
	} {
		if got := retryAfter(header, now); got != want {
			t.Errorf("%q is %v, not %v", header, got, want)
		}
	}
}

func TestBackoff(t *testing.T) {
	var b backoff
	for i, most := range []time.Duration{1, 2, 4, 8, 16, 30, 30, 30} {
		most *= time.Second
		if got := b.next(); got < most/2 || got > most {
			t.Errorf("wait %d is %v, not between %v and %v", i, got, most/2, most)
		}
	}
	b.attempts = 1 << 40
	if got := b.next(); got < 15*time.Second || got > 30*time.Second {
		t.Errorf("after many attempts the wait is %v", got)
	}
}

func TestThrottle(t *testing.T) {
	var th throttle
	start := time.Unix(0, 0)
	passed, held := 0, 0
	for s := range 150 {
		if n, ok := th.allow(start.Add(time.Duration(s) * time.Second)); ok {
			passed++
			held += n
		}
	}
	if passed != 3 || held != 118 {
		t.Errorf("%d lines pass and tell of %d others", passed, held)
	}
	th.reset()
	if _, ok := th.allow(start); !ok {
		t.Error("no line passes after a reset")
	}
}

// A real scrape's size in memory and on the wire.
func TestSizesOfARealScrape(t *testing.T) {
	m := newMaker(t, recorded(t, corpus.Node))
	p := m.next()
	body := int64(len(encodePlain(p)))
	if got := p.wire(); got < body*8/10 || got > body*12/10 {
		t.Errorf("estimated %d bytes of %d", got, body)
	}
	if got := p.memory(); got < 8*532 || got > 10*532 {
		t.Errorf("532 samples hold %d bytes", got)
	}
}
