package notifier

import (
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/zstats/zstats/pkg/account"
	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/event/eventpb"
	"github.com/zstats/zstats/pkg/glob"
)

// maxName bounds an account's name in a request, in bytes.
const maxName = 256

// filter selects events. Empty fields select all.
type filter struct {
	account, source string
	target          glob.Glob
}

// newFilter returns what a request asks for within what its caller may see.
func newFilter(r *eventpb.SubscribeRequest, g account.Grant) (filter, error) {
	f := filter{account: r.GetAccount(), source: g.Source}
	if len(f.account) > maxName {
		return f, status.Errorf(codes.InvalidArgument, "account has %d bytes, more than %d", len(f.account), maxName)
	}
	if g.Account != "" {
		if f.account != "" && f.account != g.Account {
			return f, status.Errorf(codes.PermissionDenied, "the token is not one of account %q", f.account)
		}
		f.account = g.Account
	}
	var err error
	if f.target, err = glob.Parse(r.GetTarget()); err != nil {
		return f, status.Errorf(codes.InvalidArgument, "target: %v", err)
	}
	return f, nil
}

// subject covers all subjects of events that may match.
func (f filter) subject() string { return event.EventFilter(f.account) }

func (f filter) match(e *eventpb.ScrapeWritten) bool {
	return (f.account == "" || e.GetAccount() == f.account) &&
		(f.source == "" || e.GetSource() == f.source) &&
		f.target.Match(e.GetTarget())
}
