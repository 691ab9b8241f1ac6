//go:build unix && !linux

package main

import "syscall"

func commandAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{} }

// Only Linux lets a process adopt its orphaned descendants; elsewhere a command's process group has to do.
func becomeReaper() error { return nil }

func descendants(int) []process { return nil }
