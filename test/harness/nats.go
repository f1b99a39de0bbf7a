package harness

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/zstats/zstats/test/freeaddr"
)

// natsModule is the server's command; go.mod says which version.
const natsModule = "github.com/nats-io/nats-server/v2"

// BuildNATS compiles the NATS server from its module into dir and returns the binary's path.
func BuildNATS(ctx context.Context, dir string) (string, error) {
	binary := filepath.Join(dir, "nats-server")
	out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, natsModule).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", natsModule, err, out)
	}
	return binary, nil
}

// NATS is a NATS server or a cluster of them, each a process, with JetStream that syncs every write.
type NATS struct {
	Nodes []*Node
}

// Node is one server.
type Node struct {
	*Process
	Addr    string // of clients
	monitor string
	binary  string
	config  string
}

// StartNATS runs n servers on free ports, with their data below dir, and waits until JetStream can be used.
func StartNATS(ctx context.Context, binary, dir string, n int) (*NATS, error) {
	addrs, err := freeaddr.Loopback(3 * n)
	if err != nil {
		return nil, err
	}
	client, route, monitor := addrs[:n], addrs[n:2*n], addrs[2*n:]
	c := &NATS{}
	for i := range n {
		node := &Node{Addr: client[i], monitor: monitor[i], binary: binary, config: filepath.Join(dir, fmt.Sprintf("nats-%d.conf", i))}
		c.Nodes = append(c.Nodes, node)
		if err := os.WriteFile(node.config, natsConfig(dir, i, client[i], monitor[i], route), 0o600); err != nil {
			return c, err
		}
	}
	return c, c.start(ctx)
}

// natsConfig is the configuration of node i.
func natsConfig(dir string, i int, client, monitor string, routes []string) []byte {
	text := fmt.Sprintf("server_name: n%d\nlisten: %q\nhttp: %q\njetstream { store_dir: %q, sync_interval: always }\n",
		i, client, monitor, filepath.Join(dir, fmt.Sprintf("nats-%d", i)))
	if len(routes) > 1 {
		text += fmt.Sprintf("cluster { name: zstats, listen: %q, routes: [\"nats://%s\"] }\n", routes[i], strings.Join(routes, `", "nats://`))
	}
	return []byte(text)
}

func (c *NATS) start(ctx context.Context) error {
	for _, node := range c.Nodes {
		if err := node.Start(); err != nil {
			return err
		}
	}
	for _, node := range c.Nodes {
		if err := node.WaitReady(ctx); err != nil {
			return err
		}
	}
	return nil
}

// URL returns the addresses of all servers, as --nats-url takes them.
func (c *NATS) URL() string {
	var urls []string
	for _, node := range c.Nodes {
		urls = append(urls, "nats://"+node.Addr)
	}
	return strings.Join(urls, ",")
}

// Kill ends all servers at once.
func (c *NATS) Kill() {
	for _, node := range c.Nodes {
		if node.Process != nil {
			node.Kill()
		}
	}
}

// Start runs the server, again or for the first time. It may not be ready yet.
func (n *Node) Start() (err error) {
	n.Process, err = Start(n.binary, "-c", n.config)
	return err
}

// WaitReady waits until the server and its JetStream are healthy.
func (n *Node) WaitReady(ctx context.Context) error {
	return waitOK(ctx, n.Process, "http://"+n.monitor+"/healthz")
}

// waitOK waits until a URL answers 200, the process ends, or a minute is over.
func waitOK(ctx context.Context, p *Process, url string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		_, last := httpGet(ctx, url)
		if last == nil {
			return nil
		}
		select {
		case <-p.ended:
			return fmt.Errorf("process ended before it was ready: %w\n%s", errors.Join(p.err, last), p.Output())
		case <-ctx.Done():
			return fmt.Errorf("not ready: %w\n%s", last, p.Output())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func httpGet(ctx context.Context, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	return do(req)
}
