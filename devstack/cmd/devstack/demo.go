package main

import (
	"context"
	"errors"

	"github.com/sluicepay/sluice/devstack/stack"
	"github.com/sluicepay/sluice/devstack/story"
	"github.com/sluicepay/sluice/devstack/term"
)

type demoCmd struct {
	Once       bool `help:"Stop after the story; the exit status says whether it ended well."`
	WithParent bool `help:"Stop when the process that started this one dies." hidden:""`
}

func (d *demoCmd) Run(ctx context.Context, c *cli, out *term.Printer) error {
	if d.WithParent {
		endWithParent()
	}
	cfg, err := c.config()
	if err != nil {
		return err
	}
	running, err := stack.Find(cfg.Dir)
	if err != nil {
		return err
	}
	if running != nil {
		out.Title("Sluice", "playing on the stack that runs already; stop it with: make down")
		describe(out, *running)
		w, err := world(*running, cfg.Dir)
		if err != nil {
			return err
		}
		return interrupted(ctx, story.Play(ctx, w, out))
	}
	return d.playOnOwnStack(ctx, cfg, out)
}

func (d *demoCmd) playOnOwnStack(ctx context.Context, cfg stack.Config, out *term.Printer) (err error) {
	out.Title("Sluice", "all of it on this machine; state in "+short(cfg.Dir))
	cfg.Progress = reporter(out)
	s, err := stack.Start(ctx, cfg)
	if err != nil {
		return interrupted(ctx, err)
	}
	defer func() {
		out.Gap()
		out.Begin("stopping", "")
		err = errors.Join(err, s.Stop())
		out.Note("Everything has stopped. " + short(cfg.Dir) + " keeps the state.")
	}()

	ctx, cancel := withFailure(ctx, s)
	defer cancel()
	w, err := world(s.Describe(), cfg.Dir)
	if err != nil {
		return err
	}
	played := story.Play(ctx, w, out)
	if played != nil || d.Once {
		return interrupted(ctx, played)
	}
	out.Title("Running", "Ctrl-C stops everything")
	describe(out, s.Describe())
	if err := tryIt(ctx, out, s.Describe(), cfg.Dir); err != nil {
		return interrupted(ctx, err)
	}
	<-ctx.Done()
	if failure := context.Cause(ctx); !errors.Is(failure, context.Canceled) {
		return failure
	}
	return nil
}

// withFailure is ctx that also ends, with the reason as its cause, when a part of the stack dies.
func withFailure(ctx context.Context, s *stack.Stack) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case err := <-s.Failed():
			cancel(err)
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}

// interrupted replaces the errors that follow from an interruption by the interruption, or by the failure behind it.
func interrupted(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil {
		return err
	}
	if failure := context.Cause(ctx); !errors.Is(failure, context.Canceled) {
		return failure
	}
	return errInterrupted
}
