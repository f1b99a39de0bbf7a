package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/test/freeaddr"
)

const (
	account = "acme"
	token   = "stack-token"
	demo    = "demo"
)

// stack is the compose file, brought up as a project of its own.
type stack struct {
	dir              string // of this run: data/ and what it is configured with
	project          string
	compose          []string
	env              []string
	ingest, notifier string // addresses on this machine
}

// newStack writes what the project is configured with. Nothing runs yet.
func newStack(ctx context.Context, dir, tag string) (*stack, error) {
	compose, err := composeCommand(ctx)
	if err != nil {
		return nil, err
	}
	addrs, err := freeaddr.Loopback(2)
	if err != nil {
		return nil, err
	}
	s := &stack{dir: dir, project: tag, ingest: addrs[0], notifier: addrs[1]}
	override, settings := filepath.Join(dir, "override.yaml"), filepath.Join(dir, "settings")
	if err := os.CopyFS(settings, os.DirFS("deploy/zstats")); err != nil {
		return nil, err
	}
	s.compose = append(compose, "-p", s.project, "-f", "compose.yaml", "-f", override, "--profile", "demo")
	s.env = []string{
		"ZSTATS_VERSION=" + tag, "ZSTATS_SETTINGS=" + settings, "ZSTATS_DEMO_TOKEN=" + token + "-demo", "NATS_PASSWORD=" + token,
		"ZSTATS_INGEST_PUBLISH=" + addrs[0], "ZSTATS_NOTIFIER_PUBLISH=" + addrs[1],
	}
	// The volume of files is a directory of this machine, so that the checker can read it.
	text := fmt.Sprintf("volumes:\n  files:\n    driver: local\n    driver_opts: {type: none, o: bind, device: %q}\n", s.data())
	lines := fmt.Sprintf("%s:%s\n%s:%s-demo\n", account, token, demo, token)
	return s, errors.Join(
		os.Mkdir(s.data(), 0o755), os.Chmod(s.data(), 0o777), // the writer is another user
		os.WriteFile(override, []byte(text), 0o600),
		os.WriteFile(filepath.Join(settings, "accounts"), []byte(lines), 0o644), //nolint:gosec // of this run alone, and read by another user
	)
}

// data is what writers see as /data.
func (s *stack) data() string { return filepath.Join(s.dir, "data") }

func (s *stack) files() string { return filepath.Join(s.data(), "files") }

// call runs Compose on the project.
func (s *stack) call(ctx context.Context, args ...string) error {
	_, err := command(ctx, s.env, s.compose[0], append(append([]string{}, s.compose[1:]...), args...)...)
	return err
}

// up brings up what isn't, with numbers of containers as in assembler=4.
func (s *stack) up(ctx context.Context, scale ...string) error {
	args := []string{"up", "-d", "--no-build"}
	for _, n := range scale {
		args = append(args, "--scale", n)
	}
	return s.call(ctx, args...)
}

// down takes everything away, volumes too. With evidence, what the containers have said is kept in a file.
func (s *stack) down(ctx context.Context, evidence bool) error {
	if evidence {
		out, err := command(ctx, s.env, s.compose[0], append(append([]string{}, s.compose[1:]...), "logs", "--no-color", "-t")...)
		if err == nil {
			err = os.WriteFile(filepath.Join(s.dir, "containers.log"), []byte(out), 0o600)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	return s.call(ctx, "down", "-v", "--remove-orphans", "-t", "5")
}

// containers returns the ids of a service's containers, or of all of the project if service is empty.
func (s *stack) containers(ctx context.Context, service string) ([]string, error) {
	args := []string{"ps", "-aq", "--no-trunc", "--filter", "label=com.docker.compose.project=" + s.project}
	if service != "" {
		args = append(args, "--filter", "label=com.docker.compose.service="+service)
	}
	out, err := docker(ctx, args...)
	if err == nil && out == "" {
		err = fmt.Errorf("there is no container of %q", service)
	}
	return strings.Fields(out), err
}

// one returns a container of a service.
func (s *stack) one(ctx context.Context, service string) (string, error) {
	ids, err := s.containers(ctx, service)
	if err != nil {
		return "", err
	}
	return ids[0], nil
}

// healthy returns which container isn't, or nil. The one that only prepares volumes has ended.
func (s *stack) healthy(ctx context.Context) error {
	ids, err := s.containers(ctx, "")
	if err != nil {
		return err
	}
	const format = `{{.Name}} {{.State.Status}} {{.State.ExitCode}} {{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}}`
	out, err := docker(ctx, append([]string{"inspect", "-f", format}, ids...)...)
	if err != nil {
		return err
	}
	for line := range strings.Lines(out) {
		line = strings.TrimSpace(line)
		if !strings.HasSuffix(line, " running 0 healthy") && !strings.HasSuffix(line, " exited 0 none") {
			return errors.New(line)
		}
	}
	return nil
}

// crash ends a container's process as if it had crashed, so that the restart policy has to see to it. Where that can't be done
// from here, the engine is asked to kill and to start it.
func (s *stack) crash(ctx context.Context, id string) error {
	out, err := docker(ctx, "inspect", "-f", "{{.State.Pid}}", id)
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(out)
	if err != nil || pid <= 1 {
		return fmt.Errorf("container %s: process %q can't be killed", id, out)
	}
	if os.Geteuid() == 0 && syscall.Kill(pid, syscall.SIGKILL) == nil {
		return nil
	}
	if _, err := docker(ctx, "kill", id); err != nil {
		return err
	}
	_, err = docker(ctx, "start", id)
	return err
}

// connect opens the log from outside, by the addresses that its servers have in the project's network.
func (s *stack) connect(ctx context.Context) (*bus.Bus, error) {
	var urls []string
	for _, name := range natsNodes() {
		id, err := s.one(ctx, name)
		if err != nil {
			return nil, err
		}
		ip, err := docker(ctx, "inspect", "-f", `{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}`, id)
		if err != nil {
			return nil, err
		}
		if ip != "" {
			urls = append(urls, "nats://zstats:"+token+"@"+ip+":4222")
		}
	}
	return bus.Connect(bus.Options{URL: strings.Join(urls, ","), Name: "stack", Replicas: len(natsNodes())})
}

func natsNodes() []string { return []string{"nats-1", "nats-2", "nats-3"} }

// count is what --scale takes.
func count(service string, n int) string { return service + "=" + strconv.Itoa(n) }
