package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/zstats/zstats/test/freeaddr"
	"github.com/zstats/zstats/test/harness"
)

// cluster is each service as a process of its own on NATS servers, all on this machine.
type cluster struct {
	binary     string
	log        []string // arguments that name the servers
	nats       *harness.NATS
	ingest     *harness.Service
	ingestAddr string
	writer     *harness.Service
	assemblers []assembler // that are to be alive
	named      int         // assemblers so far
}

// assembler is one of them and its name among the workers.
type assembler struct {
	*harness.Service
	id string
}

// startCluster starts one ingest, one writer and so many assemblers on so many NATS servers, which hold a copy each.
func startCluster(ctx context.Context, binary, natsBinary, dir string, servers, assemblers int) (*cluster, error) {
	c := &cluster{binary: binary}
	var err error
	if c.nats, err = harness.StartNATS(ctx, natsBinary, dir, servers); err != nil {
		return c, err
	}
	c.log = []string{"--nats-url", c.nats.URL(), "--nats.replicas", strconv.Itoa(servers), "--log.level", "warn"}
	addrs, err := freeaddr.Loopback(1)
	if err != nil {
		return c, err
	}
	c.ingestAddr = addrs[0]
	if c.ingest, err = c.start(ctx, "ingest", "--ingest.addr", c.ingestAddr, "--account", "bench:"+token); err != nil {
		return c, err
	}
	if c.writer, err = c.start(ctx, "writer", "--data-dir", dir); err != nil {
		return c, err
	}
	for range assemblers {
		if err := c.addAssembler(ctx); err != nil {
			return c, err
		}
	}
	return c, nil
}

func (c *cluster) start(ctx context.Context, name string, args ...string) (*harness.Service, error) {
	s, err := harness.StartService(c.binary, name, slices.Concat(c.log, args)...)
	if err != nil {
		return s, err
	}
	return s, s.WaitReady(ctx)
}

func (c *cluster) addAssembler(ctx context.Context) error {
	c.named++
	id := fmt.Sprintf("a%d", c.named)
	s, err := c.start(ctx, "assembler", "--worker.id", id)
	if s != nil {
		c.assemblers = append(c.assemblers, assembler{s, id})
	}
	return err
}

// kill ends what still runs.
func (c *cluster) kill() {
	for _, s := range []*harness.Service{c.ingest, c.writer} {
		if s != nil {
			s.Kill()
		}
	}
	for _, a := range c.assemblers {
		a.Kill()
	}
	if c.nats != nil {
		c.nats.Kill()
	}
}

// stop asks everything to end and returns the CPU time by kind of process.
func (c *cluster) stop() (usage [4]time.Duration, err error) {
	usage[0], err = used(c.ingest)
	if err != nil {
		return usage, err
	}
	for _, a := range c.assemblers {
		cpu, err := used(a.Service)
		if err != nil {
			return usage, err
		}
		usage[1] += cpu
	}
	if usage[2], err = used(c.writer); err != nil {
		return usage, err
	}
	for _, n := range c.nats.Nodes {
		_ = n.Stop(15 * time.Second) // it exits with 1 after SIGTERM
		cpu, _ := n.Usage()
		usage[3] += cpu
	}
	return usage, nil
}

func used(s *harness.Service) (time.Duration, error) {
	if err := s.Stop(15 * time.Second); err != nil {
		return 0, fmt.Errorf("%w\n%s", err, s.Output())
	}
	cpu, _ := s.Usage()
	return cpu, nil
}

// measureClusters plays the load through clusters of several shapes, such as 3x2: three NATS servers and two assemblers.
func measureClusters(ctx context.Context, o options, root string, l *load) error {
	natsBinary, err := harness.BuildNATS(ctx, root)
	if err != nil {
		return err
	}
	for shape := range strings.SplitSeq(o.clusters, ",") {
		var servers, assemblers int
		if _, err := fmt.Sscanf(shape, "%dx%d", &servers, &assemblers); err != nil || servers < 1 || assemblers < 1 {
			return fmt.Errorf("-clusters %q: want NATS servers and assemblers, as in 3x2", shape)
		}
		if err := measureCluster(ctx, o, natsBinary, root, l, servers, assemblers); err != nil {
			return fmt.Errorf("%s: %w", shape, err)
		}
	}
	return nil
}

func measureCluster(ctx context.Context, o options, natsBinary, root string, l *load, servers, assemblers int) error {
	dir, err := os.MkdirTemp(root, "cluster-")
	if err != nil {
		return err
	}
	c, err := startCluster(ctx, o.binary, natsBinary, dir, servers, assemblers)
	defer c.kill()
	if err != nil {
		return err
	}
	if err := c.awaitBalance(ctx); err != nil {
		return err
	}
	start := time.Now()
	if _, err := send(ctx, "http://"+c.ingestAddr+"/api/v1/zstats", l); err != nil {
		return fmt.Errorf("%w\n%s", err, c.ingest.Output())
	}
	sent := time.Since(start)
	if err := waitForFiles(ctx, c.writer, l.scrapes); err != nil {
		return fmt.Errorf("%w\n%s", err, c.writer.Output())
	}
	wall := time.Since(start)
	cpu, err := c.stop()
	if err != nil {
		return err
	}
	if count, _ := countFiles(filepath.Join(dir, "files")); count != l.scrapes {
		return fmt.Errorf("%d files on disk, want %d", count, l.scrapes)
	}
	per := func(d time.Duration) float64 { return d.Seconds() / float64(l.samples) * 1e6 }
	fmt.Printf("%d NATS, %d assemblers: %5.0f scrapes/s (all answered after %v)  CPU s/M samples: %.2f = ingest %.2f, assemblers %.2f, writer %.2f, NATS %.2f\n",
		servers, assemblers, float64(l.scrapes)/wall.Seconds(), sent.Round(10*time.Millisecond),
		per(cpu[0]+cpu[1]+cpu[2]+cpu[3]), per(cpu[0]), per(cpu[1]), per(cpu[2]), per(cpu[3]))
	return nil
}
