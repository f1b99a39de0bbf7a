package bus

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

type workerMetrics struct {
	deliveries    *prometheus.CounterVec // by partition
	ownership     *prometheus.GaugeVec   // by partition
	failures      *prometheus.CounterVec // by reason
	outputs       prometheus.Counter
	batchSize     prometheus.Histogram
	commitSeconds prometheus.Histogram
}

func newWorkerMetrics(r prometheus.Registerer, own prometheus.Labels, partitions int) *workerMetrics {
	m := &workerMetrics{
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "zstats_stage_messages_total", Help: "Input messages done and committed.", ConstLabels: own}, []string{"partition"}),
		ownership: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "zstats_stage_partition_owned", Help: "1 if this worker owns the partition.", ConstLabels: own}, []string{"partition"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "zstats_stage_failures_total", Help: "Batches, reads, takings of partitions and measurings of lag that failed and are tried again.", ConstLabels: own}, []string{"reason"}),
		outputs: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "zstats_stage_outputs_total", Help: "Output messages committed.", ConstLabels: own}),
		batchSize: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "zstats_stage_batch_messages", Help: "Input messages of a batch.", ConstLabels: own, Buckets: prometheus.ExponentialBuckets(1, 2, 10)}),
		commitSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "zstats_stage_commit_seconds", Help: "Time to commit a batch durably.", ConstLabels: own, Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14)}),
	}
	for p := range partitions {
		label := strconv.Itoa(p)
		m.deliveries.WithLabelValues(label)
		m.ownership.WithLabelValues(label)
	}
	for _, reason := range []string{"failed", "fenced", "read", "take", "measure"} {
		m.failures.WithLabelValues(reason)
	}
	if r != nil {
		r.MustRegister(m.deliveries, m.ownership, m.failures, m.outputs, m.batchSize, m.commitSeconds)
	}
	return m
}

func (m *workerMetrics) owned(p int, yes bool) {
	label := strconv.Itoa(p)
	if yes {
		m.ownership.WithLabelValues(label).Set(1)
		return
	}
	m.ownership.WithLabelValues(label).Set(0)
}

// committed counts a batch.
func (m *workerMetrics) committed(batch []delivery, outputs int) {
	m.batchSize.Observe(float64(len(batch)))
	m.outputs.Add(float64(outputs))
	for _, d := range batch {
		label := strconv.Itoa(d.Partition)
		m.deliveries.WithLabelValues(label).Inc()
	}
}
