package retention

import "github.com/prometheus/client_golang/prometheus"

// Why a scrape is removed.
const (
	byAge   = "age"
	byBytes = "bytes"
)

type metrics struct {
	active   prometheus.Gauge
	removed  *prometheus.CounterVec // by account and reason
	bytes    *prometheus.CounterVec // by account
	kept     *prometheus.GaugeVec   // by account
	oldest   *prometheus.GaugeVec   // by account
	held     *prometheus.GaugeVec   // by account
	failures prometheus.Counter
	passes   prometheus.Histogram
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		active: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "zstats_retention_active", Help: "1 if this process is the one that removes old files."}),
		removed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "zstats_retention_removed_scrapes_total", Help: "Scrapes, of two files each, removed from disk, by the limit that they were over."},
			[]string{"account", "reason"}),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "zstats_retention_removed_bytes_total", Help: "Bytes on disk of the scrapes that were removed."}, []string{"account"}),
		kept: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "zstats_retention_bytes", Help: "Bytes on disk of all scrapes of an account that has a limit in bytes."}, []string{"account"}),
		oldest: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "zstats_retention_oldest_timestamp_seconds", Help: "Epoch of the oldest scrape kept, in seconds since the Unix epoch."},
			[]string{"account"}),
		held: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "zstats_retention_held_scrapes", Help: "Scrapes over a limit that stay: a named position has not acknowledged them, or they were written just now."},
			[]string{"account"}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "zstats_retention_failures_total", Help: "Times that old files of an account could not be listed or removed; tried again with the next pass."}),
		passes: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "zstats_retention_pass_seconds", Help: "Time to look at all files and remove the old ones.", Buckets: prometheus.ExponentialBuckets(0.001, 4, 10)}),
	}
	if r != nil {
		r.MustRegister(m.active, m.removed, m.bytes, m.kept, m.oldest, m.held, m.failures, m.passes)
	}
	return m
}

// forget removes what is said of an account that has no files or no limits any more, or that another process looks after.
func (m *metrics) forget(account string) {
	m.kept.DeleteLabelValues(account)
	m.oldest.DeleteLabelValues(account)
	m.held.DeleteLabelValues(account)
}
