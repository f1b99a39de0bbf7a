package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/zstats/zstats/test/disk"
	"github.com/zstats/zstats/test/freeaddr"
	"github.com/zstats/zstats/test/harness"
)

const (
	account = "acme"
	token   = "fault-token"
)

// world is a pipeline of real processes.
type world struct {
	dir       string
	ingests   []string // addresses
	notifiers []string
	// downstream is where the notifiers push events to.
	downstream string
	victims    map[string]victim
	locks      map[string]*sync.Mutex // one step at a time for each victim
	choices    []choice
	// logDisk and fileDisk are small file systems that can be filled, empty if there are none.
	logDisk, fileDisk string
	natsURL           func() string
	unmount           []func() error
}

func newWorld(dir string) *world {
	return &world{dir: dir, victims: make(map[string]victim), locks: make(map[string]*sync.Mutex)}
}

func (w *world) files() string { return filepath.Join(w.dir, "files") }

func (w *world) add(name string, v victim, choices ...choice) {
	w.victims[name], w.locks[name] = v, new(sync.Mutex)
	for _, c := range choices {
		c.victim = name
		w.choices = append(w.choices, c)
	}
}

// binaries are what worlds are made of.
type binaries struct{ zstats, nats string }

// singleWorld is `zstats run`. With small it has small disks of its own, which takes root.
func singleWorld(b binaries, dir string, small bool) (*world, error) {
	w := newWorld(dir)
	addrs, err := freeaddr.Loopback(3)
	if err != nil {
		return w, err
	}
	w.ingests, w.notifiers, w.downstream = addrs[:1], addrs[1:2], addrs[2]
	args := []string{
		"--data-dir", dir, "--ingest.addr", addrs[0], "--notifier.addr", addrs[1],
		"--account", account + ":" + token, "--collect-self=false", "--log.format", "json",
	}
	args = append(args, w.push()...)
	if small {
		if err := w.mount(); err != nil {
			return w, err
		}
		args = append(args, "--log.reserve", "48MiB", "--writer.reserve", "16MiB")
		w.choices = append(w.choices,
			choice{noRoom, "log disk", 1}, choice{fullLog, "log disk", 1}, choice{fullFiles, "file disk", 1})
	}
	s, err := harness.StartService(b.zstats, "run", args...)
	if err != nil {
		return w, err
	}
	w.add("run", service{s}, choice{kind: kill, weight: 3}, choice{kind: pause, weight: 2}, choice{kind: terminate, weight: 2}, choice{kind: garbage, weight: 1})
	w.natsURL = func() string {
		url, _ := os.ReadFile(filepath.Join(dir, "nats-url")) // an empty one can't be connected to, which is said then
		return strings.TrimSpace(string(url))
	}
	return w, nil
}

// push returns the flags of a notifier that pushes.
func (w *world) push() []string {
	return []string{"--notifier.push.address", w.downstream, "--notifier.push.root", w.files(), "--notifier.push.timeout", "2s"}
}

// mount puts the log and the files on small disks.
func (w *world) mount() error {
	w.logDisk, w.fileDisk = filepath.Join(w.dir, "jetstream"), w.files()
	for _, path := range []string{w.logDisk, w.fileDisk} {
		if err := os.MkdirAll(path, 0o755); err != nil {
			return err
		}
		unmount, err := disk.MountOn(path, 2<<30)
		if err != nil {
			return err
		}
		w.unmount = append(w.unmount, unmount)
	}
	return nil
}

// size says how many processes of each kind a cluster has.
type size struct{ nats, ingest, assembler, writer, notifier int }

// clusterWorld is each service as processes of its own, on NATS servers that hold as many copies of the log.
func clusterWorld(b binaries, dir string, n size) (*world, error) {
	w := newWorld(dir)
	nats, err := harness.StartNATS(context.Background(), b.nats, dir, n.nats)
	for i, server := range nats.Nodes {
		w.add(fmt.Sprintf("nats-%d", i), node{server}, choice{kind: kill, weight: 2}, choice{kind: pause, weight: 1})
	}
	if err != nil {
		return w, err
	}
	if n.nats > 1 {
		w.choices = append(w.choices, choice{killAll, "nats", 5})
	}
	w.natsURL = nats.URL
	addrs, err := freeaddr.Loopback(n.ingest + n.notifier + 1)
	if err != nil {
		return w, err
	}
	w.ingests, w.notifiers, w.downstream = addrs[:n.ingest], addrs[n.ingest:n.ingest+n.notifier], addrs[n.ingest+n.notifier]
	log := []string{"--nats-url", nats.URL(), "--nats.replicas", strconv.Itoa(n.nats), "--log.format", "json"}
	for i := range n.ingest {
		err = errors.Join(err, w.serve(b, "ingest", i, log, "--ingest.addr", addrs[i], "--account", account+":"+token))
	}
	for i := range n.assembler {
		err = errors.Join(err, w.serve(b, "assembler", i, log))
	}
	for i := range n.writer {
		err = errors.Join(err, w.serve(b, "writer", i, log, "--data-dir", dir))
	}
	for i := range n.notifier {
		err = errors.Join(err, w.serve(b, "notifier", i, log, append(w.push(), "--notifier.addr", w.notifiers[i])...))
	}
	w.choices = append(w.choices, choice{garbage, "ingest", 1})
	return w, err
}

// serve starts the i-th process of a service.
func (w *world) serve(b binaries, name string, i int, log []string, args ...string) error {
	s, err := harness.StartService(b.zstats, name, append(slices.Clone(log), args...)...)
	if err != nil {
		return err
	}
	w.add(fmt.Sprintf("%s-%d", name, i), service{s},
		choice{kind: kill, weight: 2}, choice{kind: pause, weight: 1}, choice{kind: terminate, weight: 1})
	return nil
}

// waitReady waits until every process is.
func (w *world) waitReady(ctx context.Context) error {
	for name, v := range w.victims {
		if err := v.WaitReady(ctx); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// close ends all processes and gives the disks back. With evidence, what the processes have said is kept in files.
func (w *world) close(evidence bool) {
	for name, v := range w.victims {
		v.Kill()
		if evidence {
			if err := os.WriteFile(filepath.Join(w.dir, name+".log"), []byte(v.Output()), 0o600); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
		}
	}
	if evidence {
		return // the disks hold some of it
	}
	for _, unmount := range w.unmount {
		if err := unmount(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
}
