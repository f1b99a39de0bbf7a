package bus

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/scrape"
)

func TestBucket(t *testing.T) {
	each(t, func(t *testing.T, b *Bus) {
		k, err := b.Bucket(t.Context(), "test", time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := k.Get(t.Context(), "a.x"); !errors.Is(err, ErrNotFound) {
			t.Errorf("Get = %v, want ErrNotFound", err)
		}
		put := func(key, value string) {
			t.Helper()
			if err := k.Put(t.Context(), key, []byte(value)); err != nil {
				t.Fatal(err)
			}
		}
		put("a.x", "1")
		put("b.x", "2")
		w, err := k.Watch(t.Context(), "a.*")
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		next := func() Update {
			t.Helper()
			u, err := w.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return u
		}
		if u := next(); u.Key != "a.x" || string(u.Value) != "1" || u.Ready {
			t.Errorf("first update is %+v", u)
		}
		if u := next(); !u.Ready {
			t.Errorf("second update is %+v, want the mark that all values were delivered", u)
		}
		put("a.y", "3")
		if u := next(); u.Key != "a.y" || string(u.Value) != "3" || u.Deleted {
			t.Errorf("third update is %+v", u)
		}
		if err := k.Delete(t.Context(), "a.x"); err != nil {
			t.Fatal(err)
		}
		if u := next(); u.Key != "a.x" || !u.Deleted {
			t.Errorf("fourth update is %+v", u)
		}
	})
}

func TestBucketForgets(t *testing.T) {
	b := oneNode(t)
	k, err := b.Bucket(t.Context(), "short", time.Second)
	if err != nil {
		t.Fatal(err)
	}
	w, err := k.Watch(t.Context(), ">")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := k.Put(t.Context(), "a", []byte("1")); err != nil {
		t.Fatal(err)
	}
	for {
		u, err := w.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if u.Key == "a" && u.Deleted {
			return // the time is over
		}
	}
}

// TestBucketTakesTargetKeys: keys may have fewer characters than subjects.
func TestBucketTakesTargetKeys(t *testing.T) {
	b := oneNode(t)
	k, err := b.Bucket(t.Context(), "targets", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for i, target := range []scrape.Target{
		{Account: "acme", Name: "h:9100.node"},
		{Account: "acme", Source: "east", Name: "h:9100.node"},
		{Account: "acme", Name: "east/h:9100.node"},
		{Account: "ä.*>", Source: " /@", Name: strings.Repeat("n", 1000)},
	} {
		key := event.TargetKey(target)
		if _, err := k.Get(t.Context(), key); !errors.Is(err, ErrNotFound) {
			t.Errorf("target %d: key %s is there already or impossible: %v", i, key, err)
		}
		if err := k.Put(t.Context(), key, []byte("1")); err != nil {
			t.Errorf("target %d: %v", i, err)
		}
	}
}
