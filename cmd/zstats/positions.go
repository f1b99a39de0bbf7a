package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/zstats/zstats/notifier"
	"github.com/zstats/zstats/pkg/event/eventpb"
	"github.com/zstats/zstats/pkg/table"
)

func positionsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "positions",
		Short: "List, show and remove the named positions of consumers",
		Long: `List, show and remove named positions: places in the events that consumers have given a name, with 'zstats tail --name'
or the notifier's Consume. They are kept when their consumers are away, and with them what was not acknowledged. A notifier is
asked, which shows a token those of its account only; all of them are seen in the log itself, with --data-dir or --nats-url.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(positionsLsCommand(), positionsShowCommand(), positionsRmCommand())
	return cmd
}

// positionsFlags are what the subcommands of `zstats positions` have in common.
type positionsFlags struct {
	notifierSource
	log  logSource // asked instead of a notifier, if a flag names it
	json bool
}

func (f *positionsFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	f.notifierSource.register(flags)
	flags.StringVar(&f.log.dataDir, "data-dir", "", "data directory of 'zstats run', to look into its log itself instead of asking a notifier")
	flags.StringVar(&f.log.natsURL, "nats-url", "", "NATS servers with the log, likewise")
	flags.StringVar(&f.log.natsCredentials, "nats.credentials", "", "NATS credentials file")
	atMostOne(cmd, "notifier", "data-dir", "nats-url")
	flags.BoolVar(&f.json, "json", false, "write one JSON object a line")
}

// positionKeeper lists and removes named positions. Its errors have gRPC statuses where the notifier's have.
type positionKeeper interface {
	Positions(ctx context.Context) ([]*eventpb.Position, error)
	RemovePosition(ctx context.Context, r *eventpb.RemovePositionRequest) error
}

// inLog reports whether the log is looked into, and no notifier is asked.
func (f *positionsFlags) inLog() bool { return f.log.dataDir != "" || f.log.natsURL != "" }

// open returns what keeps the positions. The second value closes it.
func (f *positionsFlags) open(ctx context.Context) (positionKeeper, func(), error) {
	if !f.inLog() {
		client, err := f.client()
		return client, func() {}, err
	}
	log, end, err := f.log.open(ctx, "positions")
	if err != nil {
		return nil, nil, err
	}
	return notifier.PositionsOf(log), end, nil
}

// list returns all positions that there are, by owner and name.
func (s *notifierSource) list(ctx context.Context, keeper positionKeeper) ([]*eventpb.Position, error) {
	all, err := keeper.Positions(ctx)
	slices.SortFunc(all, func(a, b *eventpb.Position) int {
		return slices.Compare([]string{owner(a), a.GetName()}, []string{owner(b), b.GetName()})
	})
	return all, s.explain(err)
}

// completionPatience is how long a notifier may take to tell names to a shell.
const completionPatience = 2 * time.Second

// completePositions completes names of positions, if the notifier answers.
func (s *notifierSource) completePositions(cmd *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	client, err := s.client()
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completionPatience)
	defer cancel()
	all, err := s.list(ctx, client)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return withPrefix(positionNames(all), typed), cobra.ShellCompDirectiveNoFileComp
}

// positionNames returns the names, each once.
func positionNames(all []*eventpb.Position) []string {
	names := make([]string, len(all))
	for i, p := range all {
		names[i] = p.GetName()
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func positionsLsCommand() *cobra.Command {
	var f positionsFlags
	cmd := &cobra.Command{
		Use:   "ls",
		Short: "List the positions",
		Long: `List the positions: name, owner, if any has one, the account and target that it selects, events that are not
delivered yet (PENDING, of all targets), that are delivered and not acknowledged (UNACKED), members that wait for events (WAITING),
the age of the oldest event that is not acknowledged, the sequence up to which all is, and events that were removed before (GAP).`,
		Example: `  zstats positions ls
  zstats positions ls --json | jq 'select(.pending > 1000) | .name'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			keeper, end, err := f.open(cmd.Context())
			if err != nil {
				return err
			}
			defer end()
			all, err := f.list(cmd.Context(), keeper)
			if err != nil {
				return err
			}
			now := time.Now()
			return f.ls(displayOf(cmd, now), all, now)
		},
	}
	f.register(cmd)
	return cmd
}

func (f *positionsFlags) ls(d *display, all []*eventpb.Position, now time.Time) error {
	switch {
	case f.json:
		for _, p := range all {
			if err := table.JSON(d.out, positionObjectOf(p)); err != nil {
				return err
			}
		}
		return nil
	case len(all) == 0:
		return d.note("no positions")
	}
	return d.positions(all, now)
}

// onePosition is a position that a command is to deal with.
type onePosition struct {
	positionsFlags
	ownerAccount, ownerSource string
}

func (f *onePosition) register(cmd *cobra.Command) {
	f.positionsFlags.register(cmd)
	cmd.ValidArgsFunction = f.completePositions
	cmd.Flags().StringVar(&f.ownerAccount, "owner-account", "", "account of the owner, where several have a position of that name")
	cmd.Flags().StringVar(&f.ownerSource, "owner-source", "", "source of the owner, likewise")
	_ = cmd.RegisterFlagCompletionFunc("owner-account", cobra.NoFileCompletions) // the flags are there
	_ = cmd.RegisterFlagCompletionFunc("owner-source", cobra.NoFileCompletions)
}

// look asks for the position of a name.
func (f *onePosition) look(ctx context.Context, keeper positionKeeper, name string) (*eventpb.Position, error) {
	all, err := f.list(ctx, keeper)
	if err != nil {
		return nil, err
	}
	return f.find(all, name)
}

// find returns the position of a name, of the owner that was given or the only one.
func (f *onePosition) find(all []*eventpb.Position, name string) (*eventpb.Position, error) {
	var found []*eventpb.Position
	for _, p := range all {
		if p.GetName() == name && f.mayOwn(p) {
			found = append(found, p)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) == 0:
		return nil, f.notFound(all, name)
	}
	owners := make([]string, len(found))
	for i, p := range found {
		owners[i] = orDash(owner(p))
	}
	return nil, usagef("several own a position %q: %s; say whose with --owner-account and --owner-source", name, strings.Join(owners, ", "))
}

func (f *onePosition) mayOwn(p *eventpb.Position) bool {
	return (f.ownerAccount == "" || p.GetOwnerAccount() == f.ownerAccount) && (f.ownerSource == "" || p.GetOwnerSource() == f.ownerSource)
}

// notFound returns an error that names what there is.
func (f *onePosition) notFound(all []*eventpb.Position, name string) error {
	what := fmt.Sprintf("there is no position %q", name)
	if f.ownerAccount != "" {
		what += fmt.Sprintf(" of account %q", f.ownerAccount)
	}
	if f.ownerSource != "" {
		what += fmt.Sprintf(" of source %q", f.ownerSource)
	}
	if len(all) == 0 {
		return errors.New(what + ", nor any other")
	}
	names := make([]string, len(all))
	for i, p := range all {
		names[i] = p.GetName()
		if owner(p) != "" {
			names[i] += " (" + owner(p) + ")"
		}
	}
	return fmt.Errorf("%s; there are: %s", what, table.Clean(strings.Join(names, ", ")))
}

func positionsShowCommand() *cobra.Command {
	var f onePosition
	cmd := &cobra.Command{
		Use:   "show NAME",
		Short: "Show all that is known of a position",
		Example: `  zstats positions show billing
  zstats positions show billing --json | jq .acked_sequence`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			keeper, end, err := f.open(cmd.Context())
			if err != nil {
				return err
			}
			defer end()
			p, err := f.look(cmd.Context(), keeper, args[0])
			if err != nil {
				return err
			}
			now := time.Now()
			d := displayOf(cmd, now)
			if f.json {
				return table.JSON(d.out, positionObjectOf(p))
			}
			return d.position(p, now)
		},
	}
	f.register(cmd)
	return cmd
}

func positionsRmCommand() *cobra.Command {
	var f onePosition
	var force bool
	cmd := &cobra.Command{
		Use:   "rm NAME",
		Short: "Remove a position",
		Long: `Remove a position. Nothing is asked, and what it had not acknowledged is forgotten; a consumer that opens it later makes it
anew. While members wait for its events it is not removed, unless it is forced: then they are told so, and make it anew as they
connect again.`,
		Example: `  zstats positions rm billing
  zstats positions rm billing --owner-account acme --force`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			keeper, end, err := f.open(cmd.Context())
			if err != nil {
				return err
			}
			defer end()
			p, err := f.look(cmd.Context(), keeper, args[0])
			if err != nil {
				return err
			}
			if err := f.remove(cmd.Context(), keeper, p, force); err != nil {
				return err
			}
			d := displayOf(cmd, time.Now())
			if f.json {
				return table.JSON(d.out, positionObjectOf(p))
			}
			_, err = fmt.Fprintf(d.out, "position %s is removed: it had %s pending and %d not acknowledged\n", p.GetName(), count(p.GetPending(), "event"), p.GetUnacked())
			return err
		},
	}
	f.register(cmd)
	cmd.Flags().BoolVar(&force, "force", false, "also while members wait for events")
	return cmd
}

func (f *onePosition) remove(ctx context.Context, keeper positionKeeper, p *eventpb.Position, force bool) error {
	err := keeper.RemovePosition(ctx, &eventpb.RemovePositionRequest{
		Name: p.GetName(), OwnerAccount: p.GetOwnerAccount(), OwnerSource: p.GetOwnerSource(), Force: force,
	})
	if status.Code(err) == codes.FailedPrecondition {
		return fmt.Errorf("members of position %s wait for events: stop them first, or give --force", p.GetName())
	}
	return f.explain(err)
}
