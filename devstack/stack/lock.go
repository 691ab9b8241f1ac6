package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/sluicepay/sluice/internal/pgcluster"
)

// ErrRunning says that a stack is running in a state folder.
var ErrRunning = errors.New("a stack is already running in this folder")

// Two locks on a state folder, which the kernel drops when their process dies: the first decides who has the folder,
// also within one process; the second says to others which process that is, without a file that could be out of date.
const (
	lockFile   = "lock"
	holderFile = "holder"
)

// folder is a state folder that this process holds.
type folder struct {
	dir          string
	lock, holder *os.File
}

// openFolder creates the folder if need be and takes it for this process. Error: ErrRunning.
func openFolder(dir string) (*folder, error) {
	mode := fs.FileMode(0o700)
	if os.Geteuid() == 0 {
		// PostgreSQL refuses to run as root; the account it gets instead must pass through to its data.
		mode = 0o711
	}
	if err := os.MkdirAll(dir, mode); err != nil {
		return nil, fmt.Errorf("create the state folder: %w", err)
	}
	f := &folder{dir: dir}
	if err := f.take(); err != nil {
		return nil, errors.Join(err, f.close())
	}
	return f, nil
}

func (f *folder) take() error {
	var err error
	if f.lock, err = openLockFile(f.dir, lockFile); err != nil {
		return err
	}
	if err := syscall.Flock(int(f.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return fmt.Errorf("%w: %s", ErrRunning, f.dir)
		}
		return fmt.Errorf("lock the state folder: %w", err)
	}
	if f.holder, err = openLockFile(f.dir, holderFile); err != nil {
		return err
	}
	lock := wholeFile()
	if err := syscall.FcntlFlock(f.holder.Fd(), syscall.F_SETLK, &lock); err != nil {
		return fmt.Errorf("lock the state folder: %w", err)
	}
	return nil
}

func openLockFile(dir, name string) (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(dir, name), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the state folder's lock: %w", err)
	}
	return file, nil
}

func wholeFile() syscall.Flock_t {
	return syscall.Flock_t{Type: syscall.F_WRLCK, Whence: io.SeekStart}
}

// close gives the folder up. The kernel does the same when the process dies.
func (f *folder) close() error {
	var errs []error
	if f.lock != nil {
		// Closing alone would not do: a child that another goroutine is just forking has a copy of the file until it
		// executes its program, and the lock lives as long as any copy.
		errs = append(errs, syscall.Flock(int(f.lock.Fd()), syscall.LOCK_UN))
	}
	for _, file := range []*os.File{f.holder, f.lock} {
		if file != nil {
			errs = append(errs, file.Close())
		}
	}
	return errors.Join(errs...)
}

// holder returns the process that holds a state folder, 0 when none does. It must not be called in that process: there
// it would give the second lock away.
func holder(dir string) (int, error) {
	file, err := os.OpenFile(filepath.Join(dir, holderFile), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("look for a running stack: %w", err)
	}
	defer func() { _ = file.Close() }()
	lock := wholeFile()
	if err := syscall.FcntlFlock(file.Fd(), syscall.F_GETLK, &lock); err != nil {
		return 0, fmt.Errorf("look for a running stack: %w", err)
	}
	if lock.Type == syscall.F_UNLCK {
		return 0, nil
	}
	return int(lock.Pid), nil
}

// awaitReleased waits until pid no longer holds the folder. Nothing signals that to a process that is not its parent.
func awaitReleased(ctx context.Context, dir string, pid int) bool {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		if held, err := holder(dir); err == nil && held != pid {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-ticker.C:
		}
	}
}

// Remove deletes a state folder with everything in it, also the database where that had to be put elsewhere. It is no
// error when there is nothing. Error: ErrRunning.
func Remove(dir string) error {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	f, err := openFolder(dir)
	if err != nil {
		return err
	}
	defer func() { _ = f.close() }()
	if err := pgcluster.Remove(f.path("postgres")); err != nil {
		return fmt.Errorf("remove the database: %w", err)
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove the state folder: %w", err)
	}
	return nil
}
