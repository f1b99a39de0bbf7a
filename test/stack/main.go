// Command stack brings the compose file up on a real Docker engine, as a project of its own, and has things happen to it under
// load: workers are scaled, containers crash and stand still, a NATS server is cut off. In the end everything that was acknowledged
// must be written and notified exactly once. It takes away what it has made: containers, volumes, networks, images, files.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

type options struct {
	seed       uint64
	keep       bool
	imagesOnly bool
}

func main() {
	var o options
	flag.Uint64Var(&o.seed, "seed", 1, "seed of the load")
	flag.BoolVar(&o.keep, "keep", false, "keep images and files; containers and volumes always go")
	flag.BoolVar(&o.imagesOnly, "images", false, "only see to the images of third parties that the compose file names, and keep them")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := o.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "stack:", err)
		os.Exit(1)
	}
}

func (o *options) run(ctx context.Context) (err error) {
	if o.imagesOnly {
		return new(images).thirdParty(ctx, "compose.yaml")
	}
	dir, err := os.MkdirTemp("", "zstats-stack-")
	if err != nil {
		return err
	}
	defer func() {
		if err == nil && !o.keep {
			err = os.RemoveAll(dir)
			return
		}
		fmt.Fprintln(os.Stderr, "everything is kept in", dir)
	}()
	if err := os.Chmod(dir, 0o755); err != nil { // other users' processes read below it
		return err
	}
	made := new(images)
	if !o.keep {
		defer func() { err = errors.Join(err, cleaning(made.remove)) }()
	}
	tag := fmt.Sprintf("zstats-test-%d-%d", os.Getpid(), time.Now().Unix())
	begun := time.Now()
	if err := errors.Join(made.own(ctx, tag), made.thirdParty(ctx, "compose.yaml")); err != nil {
		return err
	}
	fmt.Printf("images are there after %s\n", time.Since(begun).Round(time.Second))
	s, err := newStack(ctx, dir, tag)
	if err != nil {
		return err
	}
	defer func() {
		evidence := err != nil || o.keep
		err = errors.Join(err, cleaning(func(ctx context.Context) error { return s.down(ctx, evidence) }))
	}()
	return newTrial(s, o.seed, os.Stdout).run(ctx)
}

// cleaning does what must be done whether or not the run was interrupted.
func cleaning(do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	return do(ctx)
}
