package pgcluster

import (
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

func childAttributes(onParentDeath syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: onParentDeath}
}

// serverProcesses lists the processes that work in the data folder: the postmaster and its children, also those that
// a killed postmaster left behind. Every PostgreSQL process has the data folder as its working directory.
func serverProcesses(data string, _ int) []int {
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil {
		return nil
	}
	var pids []int
	for _, link := range links {
		if target, err := os.Readlink(link); err != nil || target != data {
			continue
		}
		exe, err := os.Readlink(filepath.Join(filepath.Dir(link), "exe"))
		if err != nil || filepath.Base(exe) != "postgres" {
			continue // a shell that somebody opened there
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(link))); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}
