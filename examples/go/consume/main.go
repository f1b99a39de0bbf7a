// Consume is an example of a consumer of zstats, to be copied and changed.
//
// It is a member of a named position: it is told of every scrape that is written, reads the scrape's two files, and puts what
// it finds into a journal, exactly once for each scrape. See the README in the directory above.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// options are what the command line and the environment say.
type options struct {
	notifier, caFile, token string
	tls                     bool
	name, account, target   string
	fromStart               bool
	inFlight                uint
	files, journal, metric  string
	skipMissing             bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "consume:", err)
		os.Exit(1)
	}
}

// run consumes until ctx ends or something is wrong that another attempt does not cure.
func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	files, err := os.OpenRoot(o.files)
	if err != nil {
		return fmt.Errorf("--files: %w", err)
	}
	defer files.Close()
	j, err := openJournal(o.journal)
	if err != nil {
		return fmt.Errorf("--journal: %w", err)
	}
	defer j.close()
	w := &worker{files: files, journal: j, metric: o.metric, skipMissing: o.skipMissing, by: fmt.Sprintf("go-%d", os.Getpid())}
	return follow(ctx, o, w)
}

func parse(args []string) (options, error) {
	o := options{token: os.Getenv("ZSTATS_TOKEN")}
	f := flag.NewFlagSet("consume", flag.ExitOnError)
	f.StringVar(&o.notifier, "notifier", "127.0.0.1:9906", "notifier, `HOST:PORT`; a token that it asks for is taken from the variable ZSTATS_TOKEN")
	f.BoolVar(&o.tls, "tls", false, "connect with TLS")
	f.StringVar(&o.caFile, "ca-file", "", "PEM `file` with the authorities to trust instead of the system's; implies --tls")
	f.StringVar(&o.name, "name", "", "name of the position; required")
	f.StringVar(&o.account, "account", "", "only this account")
	f.StringVar(&o.target, "target", "", "only targets that match this `pattern` of '*' and '?'")
	f.BoolVar(&o.fromStart, "from-start", false, "a new position begins with the oldest event that is kept, not with the next one")
	f.UintVar(&o.inFlight, "max-in-flight", 100, "most events that may be unacknowledged, 1 to 1000")
	f.StringVar(&o.files, "files", "data/files", "the writer's `directory` of files")
	f.StringVar(&o.journal, "journal", "journal.jsonl", "`file` of results; members on one machine share it")
	f.StringVar(&o.metric, "metric", "go_goroutines", "metric whose first value to note")
	f.BoolVar(&o.skipMissing, "skip-missing", false, "note scrapes whose files were removed, and go on; otherwise a missing file ends the program")
	_ = f.Parse(args) // an error ends the process
	switch {
	case f.NArg() > 0:
		return o, fmt.Errorf("unknown argument %q", f.Arg(0))
	case o.name == "":
		return o, errors.New("--name is missing: it says which position to go on with")
	case o.inFlight < 1 || o.inFlight > 1000:
		return o, fmt.Errorf("--max-in-flight is %d: want 1 to 1000", o.inFlight)
	}
	return o, nil
}
