package notifier

import (
	"context"
	"crypto/tls"
	"errors"
	"math"
	"net"
	"runtime/debug"
	"time"

	"go.uber.org/zap"
	"golang.org/x/net/netutil"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"

	"github.com/zstats/zstats/pkg/event/eventpb"
)

const (
	// maxRequest bounds a request, in bytes; the longest that is valid has some 1.5 KiB.
	maxRequest = 16 << 10
	// maxHeader bounds the metadata of a request, in bytes.
	maxHeader = 16 << 10
	// minPing is how often a client may ping.
	minPing = 10 * time.Second
)

var errStopping = errors.New("stopping now: connect again")

// newServer returns a server whose streams end with ctx, and its health service.
func (n *Notifier) newServer(ctx context.Context) (*grpc.Server, healthServer) {
	options := []grpc.ServerOption{
		grpc.MaxRecvMsgSize(maxRequest),
		grpc.MaxHeaderListSize(maxHeader),
		// Some more than subscribers may be: one too many should be told so, and not wait for a place in its connection.
		grpc.MaxConcurrentStreams(uint32(min(n.subs.limit+16, math.MaxInt32))),
		grpc.ConnectionTimeout(10 * time.Second),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionIdle: 5 * time.Minute,
			Time:              30 * time.Second,
			Timeout:           10 * time.Second,
		}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minPing, PermitWithoutStream: true}),
		grpc.StreamInterceptor(n.guard(ctx)),
		grpc.UnaryInterceptor(n.guardUnary),
		grpc.WaitForHandlers(true),
	}
	if n.cert != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(&tls.Config{
			MinVersion:     tls.VersionTLS12,
			GetCertificate: n.cert.Get,
		})))
	}
	server := grpc.NewServer(options...)
	checks := healthServer{health.NewServer()}
	eventpb.RegisterNotifierServer(server, n)
	grpc_health_v1.RegisterHealthServer(server, checks)
	reflection.Register(server)
	return server, checks
}

// limited bounds the open connections: beyond the bound new ones wait.
func (n *Notifier) limited() net.Listener {
	return netutil.LimitListener(n.listener, 64+2*n.subs.limit)
}

// healthServer answers for the whole server and for the one service of it.
type healthServer struct{ *health.Server }

func (h healthServer) serving(yes bool) {
	s := grpc_health_v1.HealthCheckResponse_NOT_SERVING
	if yes {
		s = grpc_health_v1.HealthCheckResponse_SERVING
	}
	h.SetServingStatus("", s)
	h.SetServingStatus(eventpb.Notifier_ServiceDesc.ServiceName, s)
}

// guard wraps every stream: it ends the stream's context with run, turns errors into statuses, counts how subscriptions end,
// and keeps a panic from ending the process.
func (n *Notifier) guard(run context.Context) grpc.StreamServerInterceptor {
	return func(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
		ctx, cancel := context.WithCancelCause(stream.Context())
		defer cancel(nil)
		defer context.AfterFunc(run, func() { cancel(errStopping) })()
		defer func() {
			if p := recover(); p != nil {
				err = n.panicked(info.FullMethod, p)
			}
			switch info.FullMethod {
			case eventpb.Notifier_Subscribe_FullMethodName, eventpb.Notifier_Consume_FullMethodName:
				n.metrics.ended(status.Code(err))
			}
		}()
		return n.status(ctx, handler(srv, contextStream{stream, ctx}))
	}
}

// guardUnary keeps a panic in a call from ending the process.
func (n *Notifier) guardUnary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (resp any, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = n.panicked(info.FullMethod, p)
		}
	}()
	return handler(ctx, req)
}

// caught returns what do returns, or that it panicked: for goroutines of a call, which would end the process.
func (n *Notifier) caught(method string, do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = n.panicked(method, p)
		}
	}()
	return do()
}

// panicked logs a panic and returns what its caller is told.
func (n *Notifier) panicked(method string, p any) error {
	n.logger.Error("a call panicked", zap.String("method", method), zap.Any("panic", p), zap.ByteString("stack", debug.Stack()))
	return status.Error(codes.Internal, "internal error")
}

// contextStream is a stream with another context.
type contextStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s contextStream) Context() context.Context { return s.ctx }

// status turns the error that ended a stream into what its caller is told.
func (n *Notifier) status(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); cause != nil {
		if errors.Is(cause, errStopping) {
			return status.Error(codes.Unavailable, errStopping.Error())
		}
		return status.FromContextError(ctx.Err()).Err()
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	n.logger.Warn("a subscription ended: the log can't be read", zap.Error(err))
	return status.Error(codes.Unavailable, "the log can't be read now: connect again")
}
