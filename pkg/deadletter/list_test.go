package deadletter

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/event/eventpb"
	"github.com/zstats/zstats/pkg/glob"
	"github.com/zstats/zstats/pkg/scrape"
	"github.com/zstats/zstats/pkg/table"
)

// rivalLog does something right before it publishes.
type rivalLog struct {
	Log
	before func()
}

func (r *rivalLog) AppendNew(ctx context.Context, stream string, msgs []bus.Message) error {
	r.before()
	return r.Log.AppendNew(ctx, stream, msgs)
}

// letters fills a store with a letter of each kind and one copy.
func letters(t *testing.T) *store {
	t.Helper()
	s := openStore(t)
	schema := schemaOf(3)
	const second = 1_000_000
	received := at(0) * 1000
	s.buryBlobs(t, 7, received, increment(2, 3), increment(3, 3))
	s.bury(t, event.StageAssembler, 9, &eventpb.DeadLetter{
		Reason: "panic", Detail: "assembler: panic: a bug\ngoroutine 7 [running]:\n\tmain.main()\n", ReceivedUs: received + second,
		Payload: []byte("\x00"), Undecoded: true,
	})
	state, err := event.EncodeState(apply(t, nil, full(schema, 5, 1, 2, 3), received+2*second, 11))
	if err != nil {
		t.Fatal(err)
	}
	s.bury(t, event.StageWriter, 13, &eventpb.DeadLetter{
		Reason: "schema_missing", Detail: "writer: message 13 of SCRAPES: schema is nowhere", RawSequence: 11, ReceivedUs: received + 2*second,
		Payload: state, Undecoded: true,
	})
	s.buryBlobs(t, 7, received, increment(2, 3), increment(3, 3)) // a copy
	s.bury(t, StageIngest, 0, &eventpb.DeadLetter{Reason: "refused", Detail: "no such\x1b[2J type", Payload: []byte("wire"), Undecoded: true})
	s.append(t, event.Dead, bus.Message{Subject: "zs.dead.acme.x", Data: []byte("not a letter")})
	return s
}

func sequences(all []*Letter) []uint64 {
	var out []uint64
	for _, l := range all {
		out = append(out, l.Sequence)
	}
	return out
}

func TestList(t *testing.T) {
	s := letters(t)
	pattern := func(p string) glob.Glob {
		g, err := glob.Parse(p)
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	for _, c := range []struct {
		name string
		f    Filter
		want []uint64
	}{
		{"all", Filter{}, []uint64{1, 2, 3, 5, 6}},
		{"account", Filter{Account: "acme"}, []uint64{1, 2, 3, 5}},
		{"another account", Filter{Account: "acm"}, nil},
		{"reason", Filter{Reason: "panic"}, []uint64{2}},
		{"since", Filter{Since: at(0)*1000 + 2_000_000}, []uint64{3, 5, 6}},
		{"target", Filter{Target: pattern("*.node")}, []uint64{1, 2, 3, 5}},
		{"another target", Filter{Target: pattern("node")}, nil},
	} {
		got, err := s.List(t.Context(), c.f)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, sequences(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
	first := s.list(t)[0]
	if diff := cmp.Diff([]uint64{4}, first.Copies); diff != "" {
		t.Errorf("copies (-want +got):\n%s", diff)
	}
}

func TestFind(t *testing.T) {
	s := letters(t)
	for _, c := range []struct{ ask, want []uint64 }{
		{[]uint64{3}, []uint64{3}}, {[]uint64{4, 1}, []uint64{1}}, {[]uint64{5, 2, 2}, []uint64{2, 5}},
	} {
		got, err := s.Box.Find(t.Context(), c.ask...)
		if diff := cmp.Diff(c.want, sequences(got)); diff != "" || err != nil {
			t.Errorf("%v: %v (-want +got):\n%s", c.ask, err, diff)
		}
	}
	if _, err := s.Box.Find(t.Context(), 99, 1, 7); err == nil || !strings.Contains(err.Error(), "no dead letter 7, 99;") {
		t.Errorf("letters that there are not: %v", err)
	}
}

func TestOpenIsGone(t *testing.T) {
	s := letters(t)
	l := s.list(t)[0]
	if err := s.Remove(t.Context(), event.Dead, l.Sequence); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Open(t.Context(), l); !errors.Is(err, bus.ErrNotFound) {
		t.Errorf("Open: %v, want ErrNotFound", err)
	}
}

// TestViews shows the letters as a person sees them, on a terminal and in a pipe, and as a machine does.
func TestViews(t *testing.T) {
	s := letters(t)
	all := s.list(t)
	for _, c := range []struct {
		name string
		show func(out *bytes.Buffer) error
	}{
		{"a terminal", func(out *bytes.Buffer) error { return WriteList(table.Options{Out: out, Width: 80}, all, time.UTC) }},
		{"a pipe", func(out *bytes.Buffer) error { return WriteList(table.Options{Out: out}, all, time.UTC) }},
		{"json", func(out *bytes.Buffer) error { return WriteJSONList(out, all) }},
		{"blobs", func(out *bytes.Buffer) error { return s.show(t, out, all[0], false) }},
		{"blobs in json", func(out *bytes.Buffer) error { return s.show(t, out, all[0], true) }},
		{"a whole message", func(out *bytes.Buffer) error { return s.show(t, out, all[1], false) }},
		{"a scrape", func(out *bytes.Buffer) error { return s.show(t, out, all[2], false) }},
		{"a scrape in json", func(out *bytes.Buffer) error { return s.show(t, out, all[2], true) }},
		{"results", func(out *bytes.Buffer) error { return results(out) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			if err := c.show(&out); err != nil {
				t.Fatal(err)
			}
			compareGolden(t, strings.ReplaceAll(c.name, " ", "-"), out.Bytes())
		})
	}
}

func (s *store) show(t *testing.T, out *bytes.Buffer, l *Letter, json bool) error {
	c, err := s.Open(t.Context(), l)
	if err != nil {
		return err
	}
	if json {
		return WriteJSONContent(out, c)
	}
	return WriteContent(table.Options{Out: out, Width: 80}, c, time.UTC)
}

func results(out *bytes.Buffer) error {
	letter := &Letter{Sequence: 17, Target: scrape.Target{Account: "acme", Name: "a:1.j"}}
	var sum Summary
	for _, r := range []*Result{
		{Letter: letter, Scrapes: 2, Earlier: 1},
		{Letter: letter, Accepted: 1},
		{Letter: letter, Scrapes: 1, Faults: []string{"generation 4: no", "generation 5:\nno"}},
	} {
		sum.Add(r)
		err := errors.Join(WriteResult(out, r, false), WriteResult(out, r, true), WriteJSONResult(out, r, true))
		if err != nil {
			return err
		}
	}
	_, err := out.WriteString(sum.Text(false) + "\n" + sum.Text(true) + "\n")
	return err
}

// compareGolden compares with testdata/NAME.golden; with UPDATE_GOLDEN=1 in the environment it writes that file.
func compareGolden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if os.Getenv("UPDATE_GOLDEN") == "1" {
		if err := errors.Join(os.MkdirAll("testdata", 0o755), os.WriteFile(path, got, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}
