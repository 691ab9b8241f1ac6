package main

import (
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// endWithParent asks the kernel for a SIGTERM when the parent dies, so that a killed make leaves nothing behind. The
// wish belongs to a thread, which therefore stays for ever.
func endWithParent() {
	parent := os.Getppid()
	asked := make(chan struct{})
	go func() {
		runtime.LockOSThread()
		_ = unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(syscall.SIGTERM), 0, 0, 0)
		close(asked)
		select {}
	}()
	<-asked
	if os.Getppid() != parent { // it died in between
		_ = syscall.Kill(os.Getpid(), syscall.SIGTERM)
	}
}
