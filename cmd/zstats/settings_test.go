package main

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/zstats/zstats/pkg/config"
	"github.com/zstats/zstats/writer/retention"
)

// defaults returns the settings of a service without flags.
func defaults(t *testing.T) *settings {
	t.Helper()
	s := new(settings)
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	for _, register := range allGroups() {
		register(s, flags)
	}
	if err := s.validateStreams(); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSettingsRefuse(t *testing.T) {
	for name, spoil := range map[string]func(*settings){
		"head limit as long as RAW's age": func(s *settings) { s.headLimit = s.rawAge },
		"no head limit":                   func(s *settings) { s.headLimit = 0 },
		"no age of events":                func(s *settings) { s.eventsAge = 0 },
		"two replicas":                    func(s *settings) { s.natsURL, s.natsReplicas = "nats://h", 2 },
		"replicas of the embedded log":    func(s *settings) { s.natsReplicas = 3 },
	} {
		s := defaults(t)
		spoil(s)
		if err := s.validateStreams(); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func TestServicesRefuse(t *testing.T) {
	for _, tt := range []struct {
		service service
		spoil   func(*settings)
		says    string
	}{
		{runService(), func(s *settings) { s.collectSelfInterval = 1 }, "collect-self.interval"},
		{runService(), func(s *settings) { s.ingestTLS.cert = "x" }, "ingest.tls-key"},
		{ingestService(), func(s *settings) { s.natsURL = "nats://h" }, "--account"},
		{ingestService(), func(s *settings) { s.accounts = []string{"a:b"} }, "--nats-url"},
		{runService(), func(s *settings) { s.retention.accounts = []string{"acme"} }, "NAME:age=720h,bytes=10GiB"},
		{runService(), func(s *settings) { s.retention.accounts = []string{"acme:age=1h", "acme:bytes=1"} }, "limits already"},
		{runService(), func(s *settings) { s.retention.accounts = []string{"acme:age=1h,age=2h"} }, "twice"},
		{runService(), func(s *settings) { s.retention.accounts = []string{"acme:weight=3"} }, "no limit"},
		{runService(), func(s *settings) { s.retention.accounts = []string{"acme:age=-1h"} }, "negative"},
		{runService(), func(s *settings) { s.retention.accounts = []string{"acme:bytes=much"} }, "no size"},
		{runService(), func(s *settings) { s.retention.age = -1 }, "retention.age"},
		{writerService(), func(s *settings) { s.natsURL, s.retention.interval = "nats://h", 0 }, "retention.interval"},
		{runService(), func(s *settings) { s.push.address = "nowhere" }, `notifier.push.address "nowhere"`},
		{runService(), func(s *settings) { s.push.address, s.push.timeout = "h:1", 0 }, "notifier.push.timeout is 0s"},
		{runService(), func(s *settings) { s.push.address, s.push.concurrency = "h:1", 0 }, "notifier.push.concurrency is 0"},
		{runService(), func(s *settings) { s.push.address, s.push.attempts = "h:1", -1 }, "notifier.push.attempts are -1"},
		{runService(), func(s *settings) { s.push.root = "/srv" }, "without notifier.push.address"},
		{runService(), func(s *settings) { s.push.caFile = "ca.pem" }, "without notifier.push.address"},
		{notifierService(), func(s *settings) { s.natsURL, s.push.address = "nats://h", "h:1" }, "notifier.push.root"},
		{assemblerService(), func(*settings) {}, "--nats-url"},
		{writerService(), func(*settings) {}, "--nats-url"},
		{notifierService(), func(*settings) {}, "--nats-url"},
		{notifierService(), func(s *settings) { s.natsURL, s.notifierRequireToken = "nats://h", true }, "--account"},
	} {
		s := defaults(t)
		tt.spoil(s)
		if err := tt.service.validate(s); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: error %v, want one that says %q", tt.service.use, err, tt.says)
		}
	}
}

func TestRetentionSettings(t *testing.T) {
	s := defaults(t)
	o, err := s.retention.options()
	if err != nil || !o.Off() {
		t.Errorf("by default: %+v, %v; want it off", o, err)
	}
	s.retention.age, s.retention.bytes = 720*time.Hour, 1<<40
	s.retention.accounts = []string{"acme:bytes=10GiB", "big:age=0,bytes=0", "short:age=1h"}
	o, err = s.retention.options()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]retention.Limits{
		"acme": {Age: 720 * time.Hour, Bytes: 10 << 30}, "big": {}, "short": {Age: time.Hour, Bytes: 1 << 40},
	}
	if !maps.Equal(o.Accounts, want) || o.Limits != (retention.Limits{Age: 720 * time.Hour, Bytes: 1 << 40}) {
		t.Errorf("limits are %+v and %+v", o.Limits, o.Accounts)
	}
}

// No two settings may have the same environment variable.
func TestVariablesDiffer(t *testing.T) {
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	for _, register := range allGroups() {
		register(new(settings), flags)
	}
	names := make(map[string]string)
	flags.VisitAll(func(f *pflag.Flag) {
		v := config.Variable(f.Name)
		if other, taken := names[v]; taken {
			t.Errorf("%s is the variable of %s and of %s", v, f.Name, other)
		}
		names[v] = f.Name
	})
}

func TestSize(t *testing.T) {
	for text, want := range map[string]size{"0": 0, "17": 17, "17B": 17, "4KiB": 4096, "20 GiB": 20 << 30, "3MB": 3e6, "1TiB": 1 << 40} {
		var s size
		if err := s.Set(text); err != nil || s != want {
			t.Errorf("%q is %d, %v; want %d", text, int64(s), err, int64(want))
		}
		var again size
		if err := again.Set(s.String()); err != nil || again != s {
			t.Errorf("%q is shown as %q, which is %d, %v", text, s.String(), int64(again), err)
		}
	}
	for _, text := range []string{"", "GiB", "-1", "1.5GiB", "9999999999TiB", "1 potato"} {
		if err := new(size).Set(text); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}

func TestMadeUpID(t *testing.T) {
	a, b := madeUpID("host.example_1"), madeUpID("host.example_1")
	if a == b || !strings.HasPrefix(a, "host-example-1-") {
		t.Errorf("made up %q and %q", a, b)
	}
}

func testLogger(t *testing.T) *zap.Logger {
	t.Helper()
	return zaptest.NewLogger(t, zaptest.Level(zap.WarnLevel))
}
