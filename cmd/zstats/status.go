package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/status"
	"github.com/zstats/zstats/pkg/table"
)

// statusFlags are the flags of `zstats status`.
type statusFlags struct {
	log        logSource
	interval   time.Duration
	partitions bool
	json       bool
}

func statusCommand() *cobra.Command {
	var f statusFlags
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show how the whole pipeline is doing",
		Long: `Show what the streams of the log hold, how far each stage lags behind, which workers there are and what each works
on. It looks twice, --interval apart, to tell rates. Everything comes from the log: no service is asked.`,
		Example: `  zstats status
  zstats status --partitions
  zstats status --nats-url nats://nats-1:4222 --json | jq .stages`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.interval < 0 {
				return usagef("--interval is %s: give 0 for no rates, or more", f.interval)
			}
			return f.run(cmd.Context(), displayOf(cmd, time.Now()))
		},
	}
	f.log.register(cmd.Flags())
	cmd.Flags().DurationVar(&f.interval, "interval", time.Second, "time between the two looks that tell rates; 0 for one look and no rates")
	cmd.Flags().BoolVar(&f.partitions, "partitions", false, "show each partition of each stage")
	cmd.Flags().BoolVar(&f.json, "json", false, "write one JSON object")
	return cmd
}

func (f *statusFlags) run(ctx context.Context, d *display) error {
	b, end, err := f.log.open(ctx, "status")
	if err != nil {
		return err
	}
	defer end()
	now, err := status.Take(ctx, b, time.Now())
	if err != nil {
		return err
	}
	before := now
	if f.interval > 0 {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(f.interval):
		}
		if now, err = status.Take(ctx, b, time.Now()); err != nil {
			return err
		}
	}
	v := statusView{now: now, before: before, d: d}
	if f.json {
		return table.JSON(d.out, v.object())
	}
	return v.show(f.partitions)
}

// statusView shows a snapshot, with rates if there is an earlier one.
type statusView struct {
	now, before *status.Snapshot
	d           *display
}

func (v *statusView) show(partitions bool) error {
	steps := []func() error{v.streams, v.stages, v.workers}
	if partitions {
		steps = append(steps, v.partitions)
	}
	for i, step := range steps {
		if i > 0 {
			fmt.Fprintln(v.d.out)
		}
		if err := step(); err != nil {
			return err
		}
	}
	fmt.Fprintf(v.d.out, "\nabout %d targets, %d dead letters\n", v.now.Targets(), v.now.Stream(event.Dead).Messages)
	return nil
}

func (v *statusView) rate(stream string) string {
	if v.before == v.now {
		return "-"
	}
	return strconv.FormatFloat(v.now.Rate(v.before, stream), 'f', 1, 64)
}

func (v *statusView) streams() error {
	columns := []table.Column{
		{Title: "STREAM"}, {Title: "MESSAGES", Right: true}, {Title: "SIZE", Right: true}, {Title: "LIMIT", Right: true},
		{Title: "OLDEST", Right: true}, {Title: "PER SECOND", Right: true}, {Title: "COPIES", Min: 6},
	}
	var rows [][]string
	for _, s := range v.now.Streams {
		limit, oldest := "-", "-"
		if s.MaxBytes > 0 {
			limit = bytesOf(s.MaxBytes)
		}
		if s.Messages > 0 {
			oldest = ageOf(v.now.At.Sub(s.FirstTime))
		}
		rows = append(rows, []string{
			s.Name, strconv.FormatUint(s.Messages, 10), bytesOf(s.Bytes), limit, oldest, v.rate(s.Name), copiesOf(s),
		})
	}
	return v.d.table(columns, rows)
}

// copiesOf says how many copies a stream has and which are not well.
func copiesOf(s *bus.StreamStatus) string {
	switch {
	case len(s.Lost) > 0:
		return fmt.Sprintf("%d, not current: %s", s.Replicas, strings.Join(s.Lost, ", "))
	case s.Replicas > 1 && s.Leader == "":
		return fmt.Sprintf("%d, no leader", s.Replicas)
	case s.Replicas > 1:
		return fmt.Sprintf("%d, leader %s", s.Replicas, s.Leader)
	}
	return strconv.Itoa(s.Replicas)
}

func (v *statusView) stages() error {
	columns := []table.Column{
		{Title: "STAGE"}, {Title: "LAG", Right: true}, {Title: "WORKERS", Right: true}, {Title: "PARTITIONS", Right: true},
		{Title: "WITHOUT WORKER", Right: true},
	}
	var rows [][]string
	for i := range v.now.Stages {
		s := &v.now.Stages[i]
		rows = append(rows, []string{
			s.Name, strconv.FormatUint(s.Lag(), 10), strconv.Itoa(len(s.Workers)), strconv.Itoa(len(s.Partitions)), strconv.Itoa(s.Unowned()),
		})
	}
	return v.d.table(columns, rows)
}

func (v *statusView) workers() error {
	columns := []table.Column{
		{Title: "WORKER", Min: 12}, {Title: "STAGE"}, {Title: "PARTITIONS", Right: true}, {Title: "LAG", Right: true},
	}
	var rows [][]string
	for i := range v.now.Stages {
		s := &v.now.Stages[i]
		for _, w := range s.Workers {
			n, lag := s.Owned(w)
			rows = append(rows, []string{w, s.Name, strconv.Itoa(n), strconv.FormatUint(lag, 10)})
		}
	}
	return v.d.table(columns, rows)
}

func (v *statusView) partitions() error {
	columns := []table.Column{
		{Title: "STAGE"}, {Title: "PARTITION", Right: true}, {Title: "LAG", Right: true}, {Title: "DONE", Right: true},
		{Title: "COMMITTED", Right: true}, {Title: "WORKER", Min: 12},
	}
	var rows [][]string
	for _, s := range v.now.Stages {
		for _, p := range s.Partitions {
			committed, worker := "-", "-"
			if !p.Committed.IsZero() {
				committed = ageOf(v.now.At.Sub(p.Committed)) + " ago"
			}
			if p.Worker != "" {
				worker = p.Worker
			}
			rows = append(rows, []string{
				s.Name, strconv.Itoa(p.Partition), strconv.FormatUint(p.Lag, 10), strconv.FormatUint(p.Done, 10), committed, worker,
			})
		}
	}
	return v.d.table(columns, rows)
}

// bytesOf shows a number of bytes to three digits.
func bytesOf(n uint64) string {
	const unit = 1024
	if n < unit {
		return strconv.FormatUint(n, 10) + " B"
	}
	value := float64(n) / unit
	for _, name := range []string{"KiB", "MiB", "GiB"} {
		if value < unit {
			return fmt.Sprintf("%.1f %s", value, name)
		}
		value /= unit
	}
	return fmt.Sprintf("%.1f TiB", value)
}

// ageOf shows a duration by its two largest units.
func ageOf(d time.Duration) string {
	switch d = max(d, 0); {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%dh", int(d.Hours())/24, int(d.Hours())%24)
}

// statusObject is the state as machines get it.
type statusObject struct {
	Time        time.Time      `json:"time"`
	Targets     uint64         `json:"targets"`
	DeadLetters uint64         `json:"dead_letters"`
	Streams     []streamObject `json:"streams"`
	Stages      []stageObject  `json:"stages"`
}

type streamObject struct {
	Name      string    `json:"name"`
	Messages  uint64    `json:"messages"`
	Bytes     uint64    `json:"bytes"`
	MaxBytes  uint64    `json:"max_bytes,omitempty"`
	First     uint64    `json:"first_sequence"`
	Last      uint64    `json:"last_sequence"`
	FirstTime time.Time `json:"first_time,omitzero"`
	PerSecond *float64  `json:"per_second,omitempty"`
	Replicas  int       `json:"replicas"`
	Leader    string    `json:"leader,omitempty"`
	Lost      []string  `json:"not_current,omitempty"`
}

type stageObject struct {
	Name       string            `json:"name"`
	Lag        uint64            `json:"lag"`
	Workers    []string          `json:"workers"`
	Unowned    int               `json:"partitions_without_worker"`
	Partitions []partitionObject `json:"partitions"`
}

type partitionObject struct {
	Partition int       `json:"partition"`
	Worker    string    `json:"worker,omitempty"`
	Lag       uint64    `json:"lag"`
	Done      uint64    `json:"done_sequence"`
	Committed time.Time `json:"committed,omitzero"`
}

func (v *statusView) object() statusObject {
	o := statusObject{Time: v.now.At.UTC(), Targets: v.now.Targets(), DeadLetters: v.now.Stream(event.Dead).Messages}
	for _, s := range v.now.Streams {
		stream := streamObject{
			Name: s.Name, Messages: s.Messages, Bytes: s.Bytes, MaxBytes: s.MaxBytes, First: s.First, Last: s.Last,
			Replicas: s.Replicas, Leader: s.Leader, Lost: s.Lost,
		}
		if s.Messages > 0 {
			stream.FirstTime = s.FirstTime.UTC()
		}
		if v.before != v.now {
			rate := v.now.Rate(v.before, s.Name)
			stream.PerSecond = &rate
		}
		o.Streams = append(o.Streams, stream)
	}
	for i := range v.now.Stages {
		s := &v.now.Stages[i]
		stage := stageObject{Name: s.Name, Lag: s.Lag(), Workers: append([]string{}, s.Workers...), Unowned: s.Unowned()}
		for _, p := range s.Partitions {
			stage.Partitions = append(stage.Partitions, partitionObject{p.Partition, p.Worker, p.Lag, p.Done, p.Committed})
		}
		o.Stages = append(o.Stages, stage)
	}
	return o
}
