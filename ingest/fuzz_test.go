package ingest

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net/http"
	"slices"
	"testing"

	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/event/eventpb"
	"github.com/zstats/zstats/pkg/scrape"
	"github.com/zstats/zstats/pkg/zstatsv1"
)

// FuzzBody sends any body, compressed first if packed is false. Whatever it holds, the answer is one of the wire contract, and
// what is stored can be folded.
func FuzzBody(f *testing.F) {
	s := newSource("h:1.j", 100, 5)
	one, two, three := s.next(), s.next(), s.next()
	wrong := two.incr
	wrong.Samples = slices.Clone(wrong.Samples)
	slices.Reverse(wrong.Samples)
	f.Add(pack(one.full, two.incr), true)
	f.Add([]byte("\x1f\x8b\x08"), true)
	for _, instances := range [][]zstatsv1.Instance{
		{}, {one.full, two.incr, three.incr}, {one.full, three.incr, two.full}, {one.full, wrong}, {one.incr, two.full},
	} {
		f.Add(encoded(zstatsv1.NewRequest("t", instances)), false)
	}
	for _, in := range refusable() {
		if len(in.Instance) < 1000 {
			f.Add(encoded(zstatsv1.NewRequest("t", []zstatsv1.Instance{one.full, in, two.incr})), false)
		}
	}
	raw, dead := &memoryLog{rand: rand.New(rand.NewPCG(1, 1))}, &memoryLog{rand: rand.New(rand.NewPCG(1, 1))}
	i := unserved(f, raw, func(o *Options) {
		o.Dead, o.Logger = dead, quietest()
		o.Limits.BodyBytes, o.Limits.DecodedBytes = 1<<20, 4<<20
	})
	f.Fuzz(func(t *testing.T, body []byte, packed bool) {
		raw.messages, dead.messages = nil, nil
		i.heads.cache.Purge()
		if !packed {
			body = squeeze(body)
		}
		got := call(i, body)
		if got.status != http.StatusOK {
			t.Fatalf("status %d: %s", got.status, got.body)
		}
		reply, err := zstatsv1.DecodeResponse(got.body)
		if err != nil {
			t.Fatal(err)
		}
		if reply.Err != "" {
			if len(raw.messages)+len(dead.messages) > 0 {
				t.Errorf("stored although the request was refused: %s", reply.Err)
			}
			return
		}
		checkCodes(t, body, reply, len(dead.messages))
		checkStored(t, raw, dead)
	})
}

// checkCodes compares a reply with the request.
func checkCodes(t *testing.T, body []byte, reply *zstatsv1.Response, letters int) {
	var z zstatsv1.Decompressor
	value, err := z.Append(nil, bytes.NewReader(body), 4<<20)
	if err != nil {
		t.Fatal(err)
	}
	d, err := zstatsv1.NewDecoder(zstatsv1.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	request, err := d.Decode(value)
	if err != nil {
		t.Fatal(err)
	}
	if err := reply.Check(len(request.IData)); err != nil {
		t.Fatal(err)
	}
	failed := 0
	for _, code := range reply.IErrCodes {
		if code == zstatsv1.CodeFailed {
			failed++
		}
	}
	if failed > 0 && (failed != letters || slices.Contains(reply.IErrCodes, zstatsv1.CodeSendFull)) {
		t.Errorf("codes %v with %d dead letters", reply.IErrCodes, letters)
	}
}

// checkStored folds RAW and decodes DEAD.
func checkStored(t *testing.T, raw, dead *memoryLog) {
	states := make(map[scrape.Target]*scrape.State)
	for _, m := range raw.messages {
		e, err := entryOf(m)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range e.blobs {
			next, out := states[e.target].Apply(b, scrape.Arrival{Received: e.head.Received, Sequence: e.sequence})
			if out.Verdict != scrape.Accepted && out.Reason != scrape.ReasonTime {
				t.Fatalf("generation %d of %s: %s (%s)", b.Generation, e.target, out.Verdict, out.Reason)
			}
			if out.Verdict != scrape.Accepted {
				return // what follows has no predecessor
			}
			states[e.target] = next
		}
	}
	for _, m := range dead.messages {
		if err := event.Unmarshal(m.Data, new(eventpb.DeadLetter)); err != nil {
			t.Fatal(err)
		}
	}
}

// FuzzClaim: a claim is within its bounds, and decompressing by it never takes more than the limit.
func FuzzClaim(f *testing.F) {
	f.Add(squeeze([]byte("up 1\n")))
	f.Add(binary.LittleEndian.AppendUint32(make([]byte, 30), 1<<31))
	limits := Limits{DecodedBytes: 1 << 20}
	limits.setDefaults()
	n, err := newIntake(limits, newMetrics())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, compressed []byte) {
		if got := n.claim(compressed); got < 1 || got > limits.DecodedBytes {
			t.Errorf("claim is %d", got)
		}
		d, err := n.decode(t.Context(), &body{bytes: compressed})
		if err == nil {
			d.close()
		}
		if !n.decoding.TryAcquire(limits.DecodingBytes) {
			t.Fatal("bytes to decode are left taken")
		}
		n.decoding.Release(limits.DecodingBytes)
	})
}
