package stack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/sluicepay/sluice/internal/pgcluster"
)

// installScript installs the server's programs with apt and keeps Debian from starting a cluster of its own with them:
// nothing may run afterwards that did not before.
const installScript = `set -e
export DEBIAN_FRONTEND=noninteractive UCF_FORCE_CONFFOLD=1
conf=/etc/postgresql-common/createcluster.conf
if [ ! -e "$conf" ]; then
	mkdir -p "$(dirname "$conf")"
	echo 'create_main_cluster = false' > "$conf"
fi
apt-get update -qq
apt-get install -y -qq --no-install-recommends -o Dpkg::Options::=--force-confold postgresql
`

// installPostgres makes sure that PostgreSQL's programs are on the machine: with apt where this process is root or may
// become it without being asked for a password. Otherwise the error says in one line what to install.
func (s *Stack) installPostgres(ctx context.Context) error {
	_, err := pgcluster.Find(ctx)
	var missing *pgcluster.NotInstalledError
	if err == nil || !errors.As(err, &missing) {
		return err
	}
	command := installCommand(ctx)
	if command == nil {
		return missing
	}
	return s.step("apt", "installing PostgreSQL's programs with apt; this happens once", func() (string, error) {
		cmd := exec.CommandContext(ctx, command[0], command[1:]...)
		var output bytes.Buffer
		cmd.Stdout, cmd.Stderr = &output, &output
		if err := cmd.Run(); err != nil {
			return "", fmt.Errorf("%w\n%s\n%s", err, strings.TrimSpace(output.String()), missing.Hint())
		}
		found, err := pgcluster.Find(ctx)
		return found.Dir, err
	})
}

// installCommand is how this process may run installScript, nil when it may not.
func installCommand(ctx context.Context) []string {
	if _, err := exec.LookPath("apt-get"); err != nil {
		return nil
	}
	script := []string{"/bin/sh", "-c", installScript}
	if os.Geteuid() == 0 {
		return script
	}
	sudo, err := exec.LookPath("sudo")
	if err != nil || exec.CommandContext(ctx, sudo, "-n", "true").Run() != nil {
		return nil
	}
	return append([]string{sudo, "-n"}, script...)
}
