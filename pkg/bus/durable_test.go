package bus

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/zstats/zstats/pkg/event"
)

func TestDurableReaders(t *testing.T) {
	each(t, func(t *testing.T, b *Bus) {
		for _, name := range []string{"a", "b", "a"} {
			if _, err := b.Append(t.Context(), event.Raw, rawMessage(name, []byte(name))); err != nil {
				t.Fatal(err)
			}
		}
		for _, c := range []jetstream.ConsumerConfig{
			{Durable: "all", AckPolicy: jetstream.AckExplicitPolicy},
			{Durable: "one", AckPolicy: jetstream.AckExplicitPolicy, FilterSubject: rawMessage("a", nil).Subject},
			{Durable: "two", AckPolicy: jetstream.AckExplicitPolicy, FilterSubjects: []string{rawMessage("a", nil).Subject, rawMessage("b", nil).Subject}},
			{Durable: "new", AckPolicy: jetstream.AckExplicitPolicy, DeliverPolicy: jetstream.DeliverNewPolicy},
			{Durable: "silent", AckPolicy: jetstream.AckNonePolicy},
			{Name: "passing", AckPolicy: jetstream.AckExplicitPolicy},
		} {
			consumer, err := b.js.CreateConsumer(t.Context(), event.Raw, c)
			if err != nil {
				t.Fatal(err)
			}
			if c.Durable != "all" {
				continue
			}
			for range 2 {
				m, err := consumer.Next()
				if err != nil {
					t.Fatal(err)
				}
				if err := m.DoubleAck(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
		got, err := b.DurableReaders(t.Context(), event.Raw)
		if err != nil {
			t.Fatal(err)
		}
		byName := make(map[string]DurableReader)
		for _, r := range got {
			if r.Name == "new" && r.Acked == 0 {
				r.Acked = 3 // in a cluster the floor is not known before the first acknowledgement; less is safe
			}
			byName[r.Name] = r
		}
		want := map[string]DurableReader{
			"all": {Name: "all", Acked: 2, Behind: true}, "one": {Name: "one", Behind: true, Subjects: []string{rawMessage("a", nil).Subject}},
			"two": {Name: "two", Behind: true, Subjects: []string{rawMessage("a", nil).Subject, rawMessage("b", nil).Subject}}, "new": {Name: "new", Acked: 3},
		}
		if diff := cmp.Diff(want, byName); diff != "" {
			t.Errorf("readers (-want +got):\n%s", diff)
		}
		if one := byName["one"]; !one.Gets(rawMessage("a", nil).Subject) || one.Gets(rawMessage("b", nil).Subject) {
			t.Error("a reader of one subject does not get that one only")
		}
	})
}

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		filter, subject string
		want            bool
	}{
		{"a.b", "a.b", true}, {"a.b", "a.c", false}, {"a.*", "a.b", true}, {"a.*", "a.b.c", false}, {"a.>", "a.b.c", true},
		{"a.>", "a", false}, {">", "a", true}, {"*.b.*", "a.b.c", true}, {"a.b.c", "a.b", false}, {"a.b", "a.b.c", false},
	} {
		if got := matches(c.filter, c.subject); got != c.want {
			t.Errorf("%s matches %s: %v, want %v", c.filter, c.subject, got, c.want)
		}
	}
}
