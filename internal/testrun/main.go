package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"
)

func main() {
	// Linux sends a command its parent-death signal when the thread that started it ends, so that must not happen
	// before the process does.
	runtime.LockOSThread()
	os.Exit(run(os.Args[1:]))
}

// command is one thing to run.
type command struct {
	dir  string
	args []string
}

func (c command) String() string {
	text := strings.Join(c.args, " ")
	if c.dir != "" {
		text += " (in " + c.dir + ")"
	}
	return text
}

const usage = "usage: testrun [-with-parent] -- [-C folder] command… [-- [-C folder] command…]…"

func parse(args []string) (withParent bool, commands []command, err error) {
	for len(args) > 0 && args[0] != "--" {
		if args[0] != "-with-parent" {
			return false, nil, fmt.Errorf("unknown argument %s\n%s", args[0], usage)
		}
		withParent, args = true, args[1:]
	}
	for len(args) > 0 {
		args = args[1:] // the separator
		var c command
		if len(args) >= 2 && args[0] == "-C" {
			c.dir, args = args[1], args[2:]
		}
		for len(args) > 0 && args[0] != "--" {
			c.args, args = append(c.args, args[0]), args[1:]
		}
		if len(c.args) == 0 {
			return false, nil, fmt.Errorf("an empty command\n%s", usage)
		}
		commands = append(commands, c)
	}
	if len(commands) == 0 {
		return false, nil, errors.New(usage)
	}
	return withParent, commands, nil
}

// interruption is why a run ends early.
type interruption struct{ sig syscall.Signal }

func (i interruption) Error() string { return i.sig.String() }

// Exit statuses beside those of the commands.
const (
	exitFailed = 1
	exitUsage  = 2
)

func run(args []string) int {
	withParent, commands, err := parse(args)
	if err != nil {
		say("%v", err)
		return exitUsage
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	hurry := listen(cancel)
	if withParent {
		go watchParent(ctx, cancel)
	}
	code := newRunner(hurry).run(ctx, commands)
	var why interruption
	if errors.As(context.Cause(ctx), &why) {
		return 128 + int(why.sig)
	}
	return code
}

// listen cancels on the first signal; the channel closes on the second.
func listen(cancel context.CancelCauseFunc) <-chan struct{} {
	signals := make(chan os.Signal, 8)
	// SIGPIPE is only received, so that a closed standard output ends the commands and not the clean-up.
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGPIPE)
	hurry := make(chan struct{})
	go func() {
		for count := 0; ; {
			sig, ok := (<-signals).(syscall.Signal)
			if !ok || sig == syscall.SIGPIPE {
				continue
			}
			if count++; count == 1 {
				say("%s: ending everything", sig)
				cancel(interruption{sig})
			} else if count == 2 {
				close(hurry)
			}
		}
	}()
	return hurry
}

// watchParent cancels when the process that started this one is gone, which shows as another parent.
func watchParent(ctx context.Context, cancel context.CancelCauseFunc) {
	parent := os.Getppid()
	tick := time.NewTicker(300 * time.Millisecond)
	defer tick.Stop()
	for os.Getppid() == parent {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
	say("the process that started this is gone: ending everything")
	cancel(interruption{syscall.SIGTERM})
}

func say(format string, args ...any) {
	_, _ = fmt.Fprintf(os.Stderr, "testrun: "+format+"\n", args...)
}
