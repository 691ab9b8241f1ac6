package proc

import "syscall"

func attributes() *syscall.SysProcAttr {
	// SIGKILL, because it cannot be delayed: everything that runs here is built to survive it.
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
