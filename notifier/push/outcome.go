package push

import (
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/zstats/zstats/pkg/event/stingestproto"
)

// outcome is what a call came to.
type outcome int

const (
	taken       outcome = iota // the service has it
	refused                    // the service will never take it
	failed                     // this one may be taken later
	givenUp                    // failed, and that was enough
	unavailable                // the service takes nothing now
)

func outcomes() []outcome { return []outcome{taken, refused, failed, givenUp, unavailable} }

// done reports whether nothing is left to do for an event.
func (o outcome) done() bool { return o == taken || o == refused || o == givenUp }

// String is the value of the metrics' label.
func (o outcome) String() string {
	switch o {
	case taken:
		return "taken"
	case refused:
		return "refused"
	case failed:
		return "failed"
	case givenUp:
		return "given_up"
	default:
		return "unavailable"
	}
}

// judge says what a call came to; the error explains it, but for one that was taken.
func judge(r *pb.StatsIngestResponse, err error) (outcome, error) {
	if err != nil {
		return judgeStatus(status.Code(err)), err
	}
	why := fmt.Errorf("the service answered %s", r.GetErr())
	switch r.GetErr() {
	case pb.StatsIngestErrorCode_OK:
		return taken, nil
	case pb.StatsIngestErrorCode_STINVALID_REQ:
		return refused, why
	case pb.StatsIngestErrorCode_STNOT_READY:
		return unavailable, why
	default:
		return failed, why
	}
}

// judgeStatus tells what is about one event from what is about them all. No answer in time may be either; if it is about all, the
// bound of calls keeps the service from drowning.
func judgeStatus(c codes.Code) outcome {
	switch c {
	case codes.InvalidArgument:
		return refused
	case codes.Unavailable, codes.ResourceExhausted, codes.Unimplemented, codes.Unauthenticated, codes.PermissionDenied:
		return unavailable
	default:
		return failed
	}
}
