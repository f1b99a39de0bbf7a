package telemetry

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAdmin(t *testing.T) {
	var broken atomic.Bool
	a, err := NewAdmin(AdminOptions{
		Addr: "127.0.0.1:0", Registry: NewRegistry(),
	})
	if err != nil {
		t.Fatal(err)
	}
	a.SetState(errors.New("starting"))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()

	get := func(path string, status int, want ...string) {
		t.Helper()
		client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		resp, err := client.Get("http://" + a.Addr() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != status {
			t.Errorf("%s: status %d, want %d", path, resp.StatusCode, status)
		}
		for _, w := range want {
			if !strings.Contains(string(body), w) {
				t.Errorf("%s does not say %q:\n%.500s", path, w, body)
			}
		}
	}
	get("/-/healthy", 200, "OK")
	get("/-/ready", 503, "starting")
	a.Add(Check{Name: "good", Ready: func() error { return nil }})
	a.Add(Check{Name: "part", Ready: func() error {
		if broken.Load() {
			return errors.New("disk is full")
		}
		return nil
	}})
	get("/-/ready", 503, "starting")
	a.SetState(nil)
	get("/-/ready", 200, "OK")
	get("/metrics", 200, `zstats_ready{part="part"} 1`, "go_goroutines")
	broken.Store(true)
	get("/-/ready", 503, "part: disk is full")
	get("/metrics", 200, `zstats_ready{part="part"} 0`, `zstats_ready{part="good"} 1`)
	get("/debug/pprof/", 404)
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestAdminAddressInUse(t *testing.T) {
	a, err := NewAdmin(AdminOptions{Addr: "127.0.0.1:0", Registry: NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	defer a.listener.Close()
	if _, err := NewAdmin(AdminOptions{Addr: a.Addr(), Registry: NewRegistry()}); err == nil || !strings.Contains(err.Error(), a.Addr()) {
		t.Errorf("a second server on the address: %v, want an error that names it", err)
	}
}

func TestAdminNeedsAnAddress(t *testing.T) {
	if a, err := NewAdmin(AdminOptions{Registry: NewRegistry()}); err == nil {
		a.listener.Close()
		t.Error("an empty address was taken for all interfaces")
	}
}

func TestNewLoggerRefuses(t *testing.T) {
	if _, err := NewLogger("loud", "json"); err == nil || !strings.Contains(err.Error(), "debug, info") {
		t.Errorf("unknown level: %v", err)
	}
	if _, err := NewLogger("info", "xml"); err == nil || !strings.Contains(err.Error(), "console or json") {
		t.Errorf("unknown format: %v", err)
	}
	for _, format := range []string{"json", "console"} {
		if _, err := NewLogger("debug", format); err != nil {
			t.Error(err)
		}
	}
}
