package config

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestStrays(t *testing.T) {
	known := func(name string) bool { return name == "ZSTATS_INGEST_ADDR" }
	got := Strays([]string{
		"HOME=/root", "ZSTATS_RAW_AGED=1h", "ZSTATS_INGEST_ADDR=:9905", "ZSTATS_INGES_ADDR==", "XZSTATS_A=",
		// What Kubernetes makes up for a service zstats-ingest with a port named http.
		"ZSTATS_INGEST_SERVICE_HOST=10.0.0.1", "ZSTATS_INGEST_SERVICE_PORT=9905", "ZSTATS_INGEST_SERVICE_PORT_HTTP=9905",
		"ZSTATS_INGEST_PORT=tcp://10.0.0.1:9905", "ZSTATS_INGEST_PORT_9905_TCP=tcp://10.0.0.1:9905",
		"ZSTATS_INGEST_PORT_9905_TCP_PROTO=tcp", "ZSTATS_INGEST_PORT_9905_TCP_PORT=9905", "ZSTATS_INGEST_PORT_9905_TCP_ADDR=10.0.0.1",
	}, known)
	if diff := cmp.Diff([]string{"ZSTATS_INGES_ADDR", "ZSTATS_RAW_AGED"}, got); diff != "" {
		t.Error(diff)
	}
}
