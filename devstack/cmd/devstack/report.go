package main

import (
	"bufio"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sluicepay/sluice/devstack/stack"
	"github.com/sluicepay/sluice/devstack/story"
	"github.com/sluicepay/sluice/devstack/term"
)

// reporter prints the steps of a starting stack.
func reporter(out *term.Printer) func(stack.Event) {
	return func(e stack.Event) {
		if !e.Done {
			out.Begin(e.Part, e.Detail)
			return
		}
		took := ""
		if e.Took >= time.Millisecond {
			took = term.Took(e.Took)
		}
		out.Row(e.Part, short(e.Detail), took)
	}
}

func describe(out *term.Printer, r stack.Running) {
	out.Row("API", r.API, "")
	if r.UI != "" {
		out.Row("Temporal UI", r.UI+"/namespaces/"+r.Namespace+"/workflows", "")
	}
	out.Row("Temporal", r.Temporal, "")
	for _, c := range r.Chains {
		out.Row("chain "+c.Name, c.HTTP, c.WS)
	}
	out.Row("metrics", r.Worker+"/metrics", "")
	out.Row("environment", short(r.Env), "for the command "+short(r.Binary))
}

// short is a path as seen from the working directory, when that is shorter.
func short(path string) string {
	if !filepath.IsAbs(path) {
		return path
	}
	here, err := os.Getwd()
	if err != nil {
		return path
	}
	relative, err := filepath.Rel(here, path)
	if err != nil || len(relative) >= len(path) {
		return path
	}
	return relative
}

// errOneChain is said of a stack that runs since before there were two.
var errOneChain = errors.New("the stack that runs was started by an older version; stop it first: make down")

// world is what the story needs to know of a running stack.
func world(r stack.Running, dir string) (story.World, error) {
	if len(r.Chains) != 2 {
		return story.World{}, errOneChain
	}
	return story.World{
		API:       r.API,
		UI:        r.UI,
		Namespace: r.Namespace,
		First:     chain(r.Chains[0]),
		Second:    chain(r.Chains[1]),
		Receiver:  r.Receiver,
		Memory:    filepath.Join(dir, "demo.json"),
		Sluice: func(ctx context.Context, args ...string) ([]byte, error) {
			return runSluice(ctx, r, args...)
		},
	}, nil
}

func chain(c stack.RunningChain) story.Chain {
	return story.Chain{
		Name: c.Name, RPC: c.HTTP, Native: stack.NativeSymbol,
		TokenCode: stack.TokenCode, Token: c.Token, Decimals: c.Decimals,
	}
}

// runSluice runs a short sluice command on a running stack, also one of another process.
func runSluice(ctx context.Context, r stack.Running, args ...string) ([]byte, error) {
	env, err := readEnv(r.Env)
	if err != nil {
		return nil, err
	}
	return stack.RunSluice(ctx, r.Binary, env, nil, args...)
}

// readEnv reads the file that a shell would source.
func readEnv(path string) ([]string, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	env := os.Environ()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		name, value, ok := strings.Cut(lines.Text(), "='")
		if !ok || strings.HasPrefix(name, "#") {
			continue
		}
		value = strings.TrimSuffix(value, "'")
		env = append(env, name+"="+strings.ReplaceAll(value, `'\''`, "'"))
	}
	return env, lines.Err()
}
