package pgcluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// EnsureInstalled is Find, after installing PostgreSQL with apt-get where it is missing and we may (as root, or with
// sudo that asks for no password). progress, if not nil, gets one line before that takes its time.
//
// Error: *NotInstalledError, alone or joined with why the installation failed.
func EnsureInstalled(ctx context.Context, progress func(line string)) (Binaries, error) {
	return ensureInstalled(ctx, searchPath(), "/etc/postgresql-common/createcluster.d", progress)
}

func ensureInstalled(ctx context.Context, folders []string, confDir string, progress func(string)) (Binaries, error) {
	bin, err := findIn(ctx, folders, 0)
	var missing *NotInstalledError
	if err == nil || !errors.As(err, &missing) || len(missing.TooOld) > 0 {
		return bin, err // newer than what the distribution has is not ours to set up
	}
	command := aptCommand(ctx)
	if command == nil {
		return Binaries{}, err
	}
	if progress != nil {
		progress("PostgreSQL is missing: installing it with apt-get, which takes a minute")
	}
	if errInstall := runInstaller(ctx, append(command, confDir)); errInstall != nil {
		return Binaries{}, errors.Join(errInstall, err)
	}
	return findIn(ctx, folders, 0)
}

// installScript installs the server without the cluster and the service that Debian's package would set up: a file of
// ours tells it not to, for as long as the installation runs. $1 is the folder for that file.
const installScript = `
conf="$1/sluice-install.conf"
mkdir -p "$1" && echo "create_main_cluster = false" > "$conf" || exit 1
trap 'rm -f "$conf"; rmdir "$1" 2>/dev/null' EXIT
apt-get update -q
DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends postgresql
`

// aptCommand is the installer's command line but for its last argument, or nil when we cannot or may not install.
func aptCommand(ctx context.Context) []string {
	if _, err := exec.LookPath("apt-get"); err != nil {
		return nil
	}
	command := []string{"sh", "-c", installScript, "sh"}
	if os.Geteuid() == 0 {
		return command
	}
	if exec.CommandContext(ctx, "sudo", "-n", "true").Run() != nil {
		return nil
	}
	return append([]string{"sudo", "-n"}, command...)
}

func runInstaller(ctx context.Context, command []string) error {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// Asked to end rather than killed: a killed dpkg leaves the system half configured.
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = time.Minute
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("apt-get could not install postgresql: %w; it said:\n%s", err, lastLines(out.String()))
	}
	return nil
}
