//go:build unix && !linux

package pgcluster

import (
	"context"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

func childAttributes(syscall.Signal) *syscall.SysProcAttr { return &syscall.SysProcAttr{} }

// serverProcesses returns the postmaster that postmaster.pid names, if that process is a PostgreSQL server.
func serverProcesses(_ string, postmaster int) []int {
	if postmaster <= 0 {
		return nil
	}
	out, err := exec.CommandContext(context.Background(), "ps", "-o", "comm=", "-p", strconv.Itoa(postmaster)).Output()
	if err != nil || filepath.Base(strings.TrimSpace(string(out))) != "postgres" {
		return nil
	}
	return []int{postmaster}
}
