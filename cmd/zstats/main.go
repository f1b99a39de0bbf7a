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
	root, began := rootCommand(), false
	var exit *exitError
	noteBegin(root, &began)
	cmd, err := root.ExecuteContextC(ctx)
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		if exit.err != nil {
			fmt.Fprintf(os.Stderr, "zstats: %v\n", err)
		}
		return exit.code
	case !began || isUsage(err): // until a command's own code runs, errors are about the command line
		fmt.Fprintf(os.Stderr, "zstats: %v\nTry '%s --help'.\n", err, cmd.CommandPath())
		return 2
	default:
		fmt.Fprintf(os.Stderr, "zstats: %v\n", err)
		return 1
	}
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "zstats",
		Short: "Keep every scrape of every Prometheus target, exactly as it was exposed",
		Long: `Keep every scrape of every Prometheus target, exactly as it was exposed.

Exit codes: 0 success, 1 failure, 2 wrong usage.`,
		Version:       versionString(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.AddCommand(serviceCommands()...)
	root.AddCommand(collectCommand(), tailCommand(), positionsCommand(), replayCommand(), statusCommand(), readyCommand(), checkCommand(), deadletterCommand(), configCommand(), lsCommand(), catCommand(), diffCommand())
	wrapHelp(root)
	return root
}

// noteBegin makes all commands note that their own code begins to run.
func noteBegin(cmd *cobra.Command, began *bool) {
	if run := cmd.RunE; run != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			*began = true
			return run(cmd, args)
		}
	}
	for _, sub := range cmd.Commands() {
		noteBegin(sub, began)
	}
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
