//go:build unix && !linux

package proc

import "syscall"

// Other systems have no parent-death signal: there a killed parent leaves its children to be stopped by hand.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{} }
