package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

func commandAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}

// becomeReaper makes orphaned descendants children of this process instead of process 1's.
func becomeReaper() error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("become the reaper of descendants: %w", err)
	}
	return nil
}

type entry struct {
	process
	parent int
	zombie bool
}

// descendants lists the running processes below this one, without the tree of keep, and reaps the orphans among them
// that have ended. It must not run while a command does, whose end belongs to its own Wait.
func descendants(keep int) []process {
	children := map[int][]entry{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range stats {
		if e, ok := readStat(name); ok {
			children[e.parent] = append(children[e.parent], e)
		}
	}
	var found []process
	self := os.Getpid()
	var walk func(parent int)
	walk = func(parent int) {
		for _, e := range children[parent] {
			switch {
			case e.pid == keep:
				continue
			case !e.zombie:
				found = append(found, e.process)
			case parent == self:
				_, _ = syscall.Wait4(e.pid, nil, syscall.WNOHANG, nil)
			}
			walk(e.pid)
		}
	}
	walk(self)
	return found
}

// readStat reads "pid (name) state parent …"; the name may hold anything.
func readStat(name string) (entry, bool) {
	raw, err := os.ReadFile(name)
	if err != nil {
		return entry{}, false // it ended meanwhile
	}
	open, end := bytes.IndexByte(raw, '('), bytes.LastIndexByte(raw, ')')
	if open < 1 || end < open {
		return entry{}, false
	}
	fields := bytes.Fields(raw[end+1:])
	if len(fields) < 2 {
		return entry{}, false
	}
	pid, errPID := strconv.Atoi(string(bytes.TrimSpace(raw[:open])))
	parent, errParent := strconv.Atoi(string(fields[1]))
	state := string(fields[0])
	return entry{
		process: process{pid: pid, name: string(raw[open+1 : end])},
		parent:  parent,
		zombie:  state == "Z" || state == "X",
	}, errPID == nil && errParent == nil
}
