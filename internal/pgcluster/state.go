package pgcluster

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// ErrInUse says that another process runs a cluster in this state folder.
var ErrInUse = errors.New("the PostgreSQL state folder is in use by another process")

const (
	tempPrefix   = "sluice-pg-"
	newPrefix    = "sluice-new-"
	lockName     = "lock"
	passwordName = "password"
	logName      = "postgres.log"
	dataName     = "data"

	maxLogBytes = 16 << 20
)

// state is a locked state folder.
type state struct {
	dir  string
	as   account
	lock *os.File
}

func (s *state) path(name string) string { return filepath.Join(s.dir, name) }

// openState creates the folder if need be and locks it. An empty dir means a new temporary folder.
func openState(dir string, as account) (*state, error) {
	if dir == "" {
		return openTempState(as)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("resolve the state folder: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // the server's account must pass through
		return nil, fmt.Errorf("make the state folder: %w", err)
	}
	return lockState(dir, as)
}

// openTempState makes a new folder. It gets the name that sweep looks for only once it is locked.
func openTempState(as account) (*state, error) {
	base, err := firstReachable(as, os.TempDir(), "/tmp", "/var/tmp")
	if err != nil {
		return nil, err
	}
	sweep(base)
	dir, err := os.MkdirTemp(base, newPrefix)
	if err != nil {
		return nil, fmt.Errorf("make a temporary state folder: %w", err)
	}
	s, err := lockState(dir, as)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	named := filepath.Join(base, tempPrefix+strings.TrimPrefix(filepath.Base(dir), newPrefix))
	if err := os.Rename(dir, named); err != nil {
		return nil, errors.Join(fmt.Errorf("name the temporary state folder: %w", err), s.close(true))
	}
	s.dir = named
	return s, nil
}

func lockState(dir string, as account) (*state, error) {
	mode := fs.FileMode(0o700)
	if as.drop {
		mode = 0o711 // the server's account must pass through to the data
	}
	if err := os.Chmod(dir, mode); err != nil {
		return nil, fmt.Errorf("set the state folder's mode: %w", err)
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	return &state{dir: dir, as: as, lock: lock}, nil
}

func firstReachable(as account, dirs ...string) (string, error) {
	for _, dir := range dirs {
		if info, err := os.Stat(dir); err == nil && info.IsDir() && as.reaches(dir) {
			return dir, nil
		}
	}
	return "", fmt.Errorf("none of %s can be entered by the account that PostgreSQL runs as", strings.Join(dirs, ", "))
}

// lockDir takes the folder's lock, which the kernel drops when this process ends.
func lockDir(dir string) (*os.File, error) {
	name := filepath.Join(dir, lockName)
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the state folder's lock: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w: %s", ErrInUse, dir)
		}
		return nil, fmt.Errorf("lock the state folder: %w", err)
	}
	// A sweep may have removed the file between open and lock; what we hold must be what others would open.
	held, errHeld := f.Stat()
	there, errThere := os.Stat(name)
	if errHeld != nil || errThere != nil || !os.SameFile(held, there) {
		_ = f.Close()
		return nil, fmt.Errorf("%w: %s was just removed", ErrInUse, dir)
	}
	return f, nil
}

// sweep removes temporary state folders whose owner died without cleaning up: their lock is free.
func sweep(base string) {
	dirs, err := filepath.Glob(filepath.Join(base, tempPrefix+"*"))
	if err != nil {
		return
	}
	for _, dir := range dirs {
		info, err := os.Lstat(dir)
		if err != nil || !info.IsDir() {
			continue
		}
		if st, ok := info.Sys().(*syscall.Stat_t); !ok || int(st.Uid) != os.Geteuid() {
			continue
		}
		f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|syscall.O_NOFOLLOW, 0)
		if err != nil {
			continue
		}
		if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			_ = endLeftovers(filepath.Join(dir, dataName))
			_ = os.RemoveAll(dir)
		}
		_ = f.Close()
	}
}

// password returns the superuser's password, made on first use.
func (s *state) password() (string, error) {
	raw, err := os.ReadFile(s.path(passwordName))
	if err == nil && len(raw) > 0 {
		return strings.TrimSpace(string(raw)), nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read the cluster's password: %w", err)
	}
	if _, err := os.Stat(filepath.Join(s.path(dataName), "PG_VERSION")); err == nil {
		return "", fmt.Errorf("%s is missing, and the data beside it cannot be opened without it", s.path(passwordName))
	}
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails
	text := hex.EncodeToString(secret)
	if err := os.WriteFile(s.path(passwordName), []byte(text+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("store the cluster's password: %w", err)
	}
	return text, nil
}

// openLog opens the server's log for appending and returns its present size. A large one is set aside first.
func (s *state) openLog() (*os.File, int64, error) {
	name := s.path(logName)
	if info, err := os.Stat(name); err == nil && info.Size() > maxLogBytes {
		if err := os.Rename(name, name+".1"); err != nil {
			return nil, 0, fmt.Errorf("set the old log aside: %w", err)
		}
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, 0, fmt.Errorf("open the server's log: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return nil, 0, fmt.Errorf("open the server's log: %w", err)
	}
	return f, info.Size(), nil
}

// dataDir returns where the data is or shall be: below the state folder where the server's account can get there,
// otherwise in a folder of its own that the state folder links to.
func (s *state) dataDir(persistent bool) (string, error) {
	link := s.path(dataName)
	if target, err := filepath.EvalSymlinks(link); err == nil {
		if s.as.reaches(filepath.Dir(target)) {
			return target, nil
		}
		return "", fmt.Errorf("the account that PostgreSQL runs as can no longer reach %s", target)
	}
	if err := os.Remove(link); err != nil && !errors.Is(err, fs.ErrNotExist) { // a link to nothing
		return "", fmt.Errorf("remove a dangling link: %w", err)
	}
	if s.as.reaches(s.dir) {
		return link, nil
	}
	bases := []string{os.TempDir(), "/tmp", "/var/tmp"}
	if persistent {
		bases = []string{"/var/lib", "/opt", "/var/tmp"}
	}
	base, err := firstReachable(s.as, bases...)
	if err != nil {
		return "", err
	}
	home, err := os.MkdirTemp(base, "sluice-data-")
	if err != nil {
		return "", fmt.Errorf("make a folder for the data: %w", err)
	}
	if err := os.Chmod(home, 0o711); err != nil { //nolint:gosec // the server's account must pass through
		return "", fmt.Errorf("make a folder for the data: %w", err)
	}
	target := filepath.Join(home, dataName)
	if err := os.Symlink(target, link); err != nil {
		return "", errors.Join(fmt.Errorf("link to the data: %w", err), os.RemoveAll(home))
	}
	return target, nil
}

// close gives the folder up; remove also deletes it with all data.
func (s *state) close(remove bool) error {
	var err error
	if remove {
		err = removeAll(s.dir)
	}
	return errors.Join(err, unlock(s.lock))
}

// unlock lets go of the lock and not only of the file: a child that is just being started has a copy of the file for a
// moment, which would keep the lock.
func unlock(lock *os.File) error {
	return errors.Join(syscall.Flock(int(lock.Fd()), syscall.LOCK_UN), lock.Close())
}

// Remove deletes a stopped cluster: its state folder and its data, also where that lies elsewhere. It is no error when
// there is nothing. Error: ErrInUse while a process runs it.
func Remove(dir string) error {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	lock, err := lockDir(dir)
	if err != nil {
		return err
	}
	defer func() { _ = unlock(lock) }()
	if err := endLeftovers(filepath.Join(dir, dataName)); err != nil {
		return err
	}
	return removeAll(dir)
}

func removeAll(dir string) error {
	link := filepath.Join(dir, dataName)
	if target, err := os.Readlink(link); err == nil {
		// Only what dataDir made: a link that somebody else placed is not ours to follow.
		if home := filepath.Dir(target); strings.HasPrefix(filepath.Base(home), "sluice-data-") {
			if err := os.RemoveAll(home); err != nil {
				return fmt.Errorf("remove the data: %w", err)
			}
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove the state folder: %w", err)
	}
	return nil
}
