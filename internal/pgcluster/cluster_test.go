package pgcluster

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

func start(t *testing.T, opts Options) *Cluster {
	t.Helper()
	c, err := Start(t.Context(), opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Stop()) })
	return c
}

func query(t *testing.T, url, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer func() { _ = conn.Close(t.Context()) }()
	var text string
	require.NoError(t, conn.QueryRow(t.Context(), sql).Scan(&text))
	return text
}

func exec1(t *testing.T, url, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer func() { _ = conn.Close(t.Context()) }()
	_, err = conn.Exec(t.Context(), sql)
	require.NoError(t, err)
}

func requirePortFree(t *testing.T, port int) {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:"+strconv.Itoa(port))
	require.NoError(t, err)
	require.NoError(t, l.Close())
}

// alive is false also for a dead child that nobody has waited for yet.
func alive(pid int) bool {
	raw, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(raw), ") ")
	return !strings.HasPrefix(rest, "Z")
}

func TestThrowAwayClusterLeavesNothing(t *testing.T) {
	t.Parallel()
	c := start(t, Options{})
	require.DirExists(t, c.state.dir)
	require.Equal(t, "127.0.0.1", query(t, c.URL(Superuser, Superuser), `SHOW listen_addresses`))
	require.Empty(t, query(t, c.URL(Superuser, Superuser), `SHOW unix_socket_directories`))
	require.Equal(t, "off", query(t, c.URL(Superuser, Superuser), `SHOW fsync`))

	info, err := os.Stat(c.state.path(passwordName))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	_, err = pgx.Connect(t.Context(), strings.Replace(c.URL(Superuser, Superuser), c.password, "guess", 1))
	require.ErrorContains(t, err, "password authentication failed")

	// A Ctrl-C goes to the terminal's process group, which the server is not in.
	group, err := syscall.Getpgid(c.server.pid)
	require.NoError(t, err)
	require.Equal(t, c.server.pid, group)

	require.NoError(t, c.Stop())
	require.NoError(t, c.Stop(), "a second Stop does nothing")
	<-c.Done()
	require.NoDirExists(t, c.state.dir)
	requirePortFree(t, c.Port())
	require.False(t, alive(c.server.pid))
}

// The test's temporary folder is closed to other users, so that root's server cannot keep its data there.
func TestPersistentClusterKeepsItsData(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), strings.Repeat("a-long-path/", 12), "pg")
	opts := Options{DataDir: dir, Persistent: true, Durable: true}
	first := start(t, opts)
	require.Equal(t, "on", query(t, first.URL(Superuser, Superuser), `SHOW fsync`))
	require.NoError(t, first.EnsureDatabase(t.Context(), "shop"))
	require.NoError(t, first.EnsureDatabase(t.Context(), "shop"), "idempotent")
	exec1(t, first.URL(OwnerRole, "shop"), `CREATE TABLE kept AS SELECT 'still here' AS word; GRANT SELECT ON kept TO sluice_app`)

	_, err := Start(t.Context(), opts)
	require.ErrorIs(t, err, ErrInUse)
	require.ErrorIs(t, Remove(dir), ErrInUse)
	require.NoError(t, first.Stop())

	second := start(t, opts)
	require.Equal(t, "still here", query(t, second.URL(AppRole, "shop"), `SELECT word FROM kept`))
	data, err := filepath.EvalSymlinks(filepath.Join(dir, dataName))
	require.NoError(t, err)
	require.NoError(t, second.Stop())

	require.NoError(t, os.WriteFile(filepath.Join(data, "PG_VERSION"), []byte("99\n"), 0o600))
	_, err = Start(t.Context(), opts)
	var missing *NotInstalledError
	require.ErrorAs(t, err, &missing)
	require.Equal(t, 99, missing.Major)

	require.NoError(t, Remove(dir))
	require.NoError(t, Remove(dir), "idempotent")
	require.NoDirExists(t, dir)
	require.NoDirExists(t, data)
	if os.Geteuid() == 0 {
		require.NoDirExists(t, filepath.Dir(data), "the folder that root's server was given elsewhere")
	}
}

func TestRestartAfterACrash(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "pg")
	t.Cleanup(func() { require.NoError(t, Remove(dir)) })
	opts := Options{DataDir: dir, Persistent: true}
	first := start(t, opts)
	exec1(t, first.URL(Superuser, Superuser), `CREATE TABLE kept AS SELECT 'still here' AS word`)
	require.NoError(t, syscall.Kill(first.server.pid, syscall.SIGKILL))
	<-first.Done()
	require.NoError(t, first.Stop(), "stopping what has died is no error")

	// The number in the stale postmaster.pid now belongs to a process of the same user that is no server.
	data, err := filepath.EvalSymlinks(filepath.Join(dir, dataName))
	require.NoError(t, err)
	as, err := serverAccount()
	require.NoError(t, err)
	bystander, err := spawn(exec.Command("sleep", "600"), as, syscall.SIGKILL)
	require.NoError(t, err)
	defer func() { _ = bystander.end(time.Minute, syscall.SIGKILL) }()
	pidFile := filepath.Join(data, "postmaster.pid")
	raw, err := os.ReadFile(pidFile)
	require.NoError(t, err, "a killed server leaves its postmaster.pid")
	_, rest, _ := strings.Cut(string(raw), "\n")
	require.NoError(t, os.WriteFile(pidFile, []byte(strconv.Itoa(bystander.pid)+"\n"+rest), 0o600))

	second := start(t, opts)
	require.Equal(t, "still here", query(t, second.URL(Superuser, Superuser), `SELECT word FROM kept`))
	require.False(t, bystander.exited(), "the bystander is left alone")
}

func TestAnUnfinishedInitdbIsRepeated(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "pg")
	t.Cleanup(func() { require.NoError(t, Remove(dir)) })
	require.NoError(t, os.MkdirAll(filepath.Join(dir, dataName+".new", "base"), 0o755))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, dataName), 0o755))
	if as, err := serverAccount(); err != nil || !as.reaches(dir) {
		require.NoError(t, os.Remove(filepath.Join(dir, dataName)))
	}
	c := start(t, Options{DataDir: dir, Persistent: true})
	require.Equal(t, "1", query(t, c.URL(Superuser, Superuser), `SELECT '1'`))
}

func TestATakenPortIsNamed(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	port := l.Addr().(*net.TCPAddr).Port
	_, err = Start(t.Context(), Options{Port: port})
	require.ErrorContains(t, err, "port "+strconv.Itoa(port)+" on 127.0.0.1 is taken")
	var failed *StartError
	require.ErrorAs(t, err, &failed)
	require.Contains(t, failed.Log, "could not bind")
}
