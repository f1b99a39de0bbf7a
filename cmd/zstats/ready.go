package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/zstats/zstats/pkg/config"
)

// readyFlags are the flags of `zstats ready`.
type readyFlags struct {
	adminAddr string
	url       string
	timeout   time.Duration
}

func readyCommand() *cobra.Command {
	var f readyFlags
	cmd := &cobra.Command{
		Use:   "ready",
		Short: "Ask a service whether it can do its job",
		Long: `Ask a service whether it can do its job: exit with 0 if it can, else with 1 and the reason. It is the health check of
containers, where there is no shell and no curl. --admin.addr is the service's own setting, so that both may come
from the same variable, ZSTATS_ADMIN_ADDR.`,
		Example: `  zstats ready
  zstats ready --admin.addr 127.0.0.1:9917
  zstats ready --url http://nats-1:8222/healthz`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := config.Resolve(cmd.Flags(), config.Sources{Known: knownSetting}); err != nil {
				return usage(err)
			}
			return f.run(cmd.Context(), cmd.OutOrStdout())
		},
	}
	cmd.Flags().String(config.FileFlag, "", "YAML file with the service's settings")
	cmd.Flags().StringVar(&f.adminAddr, "admin.addr", "127.0.0.1:9907", "the service's admin address, HOST:PORT; without a host it is this machine")
	cmd.Flags().StringVar(&f.url, "url", "", "what to ask instead, any URL that answers 200 if all is well")
	cmd.Flags().DurationVar(&f.timeout, "timeout", 3*time.Second, "most time for an answer")
	return cmd
}

func (f *readyFlags) run(ctx context.Context, out io.Writer) error {
	url := f.url
	if url == "" {
		var err error
		if url, err = readyURL(f.adminAddr); err != nil {
			return usage(err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return usage(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	// What the service says is a line for each part; a health check keeps the beginning of it.
	reason, err := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("not ready: %s: %s", resp.Status, strings.TrimSpace(string(reason)))
	}
	fmt.Fprintln(out, "ready")
	return nil
}

// readyURL returns where a service with this admin address says whether it is ready. One that listens everywhere is asked here.
func readyURL(adminAddr string) (string, error) {
	host, port, err := net.SplitHostPort(adminAddr)
	if err != nil {
		return "", fmt.Errorf("admin.addr: %w: want HOST:PORT", err)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port) + "/-/ready", nil
}
