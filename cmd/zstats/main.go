// Command zstats receives Prometheus scrapes, keeps every one of them as files and tells consumers about each.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"
)

// version is set by the linker.
var version string

func main() {
	os.Exit(execute())
}

// execute runs the command line and returns the exit code: 0 for success, 1 for a failure, 2 for wrong usage, or what an
// exitError says.
func execute() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The first signal asks for a graceful stop; with the handler gone, a second one ends the process at once.
	context.AfterFunc(ctx, stop)
	root := rootCommand()
	usage := true // until a command's own code runs, errors are about the command line
	root.PersistentPreRun = func(*cobra.Command, []string) { usage = false }
	err := root.ExecuteContext(ctx)
	var exit *exitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		if exit.err != nil {
			fmt.Fprintf(os.Stderr, "zstats: %v\n", err)
		}
		return exit.code
	case usage:
		fmt.Fprintf(os.Stderr, "zstats: %v\nTry 'zstats --help'.\n", err)
		return 2
	default:
		fmt.Fprintf(os.Stderr, "zstats: %v\n", err)
		return 1
	}
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "zstats",
		Short:         "Keep every scrape of every Prometheus target, exactly as it was exposed",
		Version:       versionString(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.AddCommand(runCommand(), collectCommand(), tailCommand())
	return root
}

// versionString is what the linker set, else what the Go tool recorded.
func versionString() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}
