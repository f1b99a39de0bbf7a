package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/zstats/zstats/pkg/event/eventpb"
)

const (
	minBackoff, maxBackoff = 500 * time.Millisecond, 30 * time.Second
	// farewell bounds the wait for the notifier to take the last acknowledgements.
	farewell = 10 * time.Second
)

// follow consumes over one connection after the other until ctx ends.
func follow(ctx context.Context, o options, w *worker) error {
	creds, err := transport(o)
	if err != nil {
		return err
	}
	backoff := minBackoff
	for {
		opened, err := connect(ctx, o, creds, w)
		if ctx.Err() != nil {
			if err != nil {
				log.Printf("left without a farewell, what was not acknowledged comes again: %v", err)
			}
			return nil
		}
		if !curable(err) {
			return err
		}
		if opened {
			backoff = minBackoff
		}
		// Members that were cut off together should not come back together.
		wait := time.Duration((0.8 + 0.4*rand.Float64()) * float64(backoff))
		backoff = min(2*backoff, maxBackoff)
		log.Printf("cut off, next attempt in %s: %v", wait.Round(time.Millisecond), err)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil
		}
	}
}

// curable reports whether another attempt may succeed. An error that is no status is one of this program.
func curable(err error) bool {
	if errors.Is(err, io.EOF) {
		return true // something between here and the notifier has ended the stream
	}
	s, ok := status.FromError(err)
	if !ok {
		return false
	}
	switch s.Code() {
	case codes.InvalidArgument, codes.OutOfRange, codes.FailedPrecondition, codes.Unauthenticated, codes.PermissionDenied, codes.Unimplemented:
		return false
	default:
		return true
	}
}

func transport(o options) (credentials.TransportCredentials, error) {
	if !o.tls && o.caFile == "" {
		return insecure.NewCredentials(), nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.caFile != "" {
		pem, err := os.ReadFile(o.caFile)
		if err != nil {
			return nil, fmt.Errorf("--ca-file: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("--ca-file: %s holds no certificate in PEM", o.caFile)
		}
	}
	return credentials.NewTLS(c), nil
}

// connect consumes over one connection until ctx ends or it breaks, and reports whether the position was opened. A new
// connection may lead to another notifier, which goes on with the position all the same.
func connect(ctx context.Context, o options, creds credentials.TransportCredentials, w *worker) (opened bool, err error) {
	conn, err := grpc.NewClient(o.notifier,
		grpc.WithTransportCredentials(creds),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}))
	if err != nil {
		return false, fmt.Errorf("--notifier: %w", err)
	}
	defer conn.Close()
	// The stream outlives ctx by a farewell, in which the last acknowledgements get out.
	streamCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(farewell, cancel) })()
	if o.token != "" {
		streamCtx = metadata.AppendToOutgoingContext(streamCtx, "authorization", "Bearer "+o.token)
	}
	stream, err := eventpb.NewNotifierClient(conn).Consume(streamCtx)
	if err != nil {
		return false, err
	}
	return newMember(stream).run(ctx, o.open(), w)
}

// open is the request that opens the position.
func (o options) open() *eventpb.OpenPosition {
	r := &eventpb.OpenPosition{Name: o.name, Account: o.account, Target: o.target, MaxInFlight: uint32(o.inFlight)}
	if o.fromStart {
		r.From = &eventpb.OpenPosition_FromSequence{FromSequence: 0}
	}
	return r
}
