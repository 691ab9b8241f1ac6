package pgcluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// Options say where and how a cluster runs. The zero value is a throw-away cluster on a free port.
type Options struct {
	// DataDir is the state folder; empty means a temporary one.
	DataDir string
	// Port on 127.0.0.1; 0 takes a free one, at each start anew.
	Port int
	// Persistent keeps the state folder when the cluster stops.
	Persistent bool
	// Durable waits for the disk on commit. Without it a crash of the machine may lose or damage the data.
	Durable bool
	// Settings are further server settings, by name.
	Settings map[string]string
	// BinDir names the folder of initdb and postgres; empty means Find.
	BinDir string
}

// Cluster is a running server.
type Cluster struct {
	state      *state
	server     *child
	port       int
	password   string
	persistent bool
	durable    bool

	stop    sync.Once
	stopErr error
}

// Start brings a cluster up and returns when it answers. It works on a new folder and on one that an earlier cluster
// used, also when that one was killed. The caller must Stop it.
//
// Errors: *NotInstalledError, ErrInUse, *StartError; the context ends the attempt.
func Start(ctx context.Context, opts Options) (*Cluster, error) {
	as, err := serverAccount()
	if err != nil {
		return nil, err
	}
	s, err := openState(opts.DataDir, as)
	if err != nil {
		return nil, err
	}
	c, err := startIn(ctx, s, opts)
	if err != nil {
		return nil, errors.Join(err, s.close(!opts.Persistent))
	}
	return c, nil
}

func startIn(ctx context.Context, s *state, opts Options) (*Cluster, error) {
	data, err := s.dataDir(opts.Persistent)
	if err != nil {
		return nil, err
	}
	if err := endLeftovers(data); err != nil {
		return nil, err
	}
	major, err := dataMajor(data)
	if err != nil {
		return nil, err
	}
	folders := searchPath()
	if opts.BinDir != "" {
		folders = []string{opts.BinDir}
	}
	bin, err := findIn(ctx, folders, major)
	if err != nil {
		return nil, err
	}
	password, err := s.password()
	if err != nil {
		return nil, err
	}
	if err := s.initialise(ctx, bin, data, password, opts.Durable); err != nil {
		return nil, err
	}
	c := &Cluster{state: s, password: password, persistent: opts.Persistent, durable: opts.Durable}
	return c, c.startServer(ctx, bin, data, opts)
}

// startServer tries a few free ports, because another process may take one between our look and the server's bind.
func (c *Cluster) startServer(ctx context.Context, bin Binaries, data string, opts Options) error {
	const attempts = 5
	for attempt := 1; ; attempt++ {
		c.port = opts.Port
		if c.port == 0 {
			port, err := freePort(ctx)
			if err != nil {
				return err
			}
			c.port = port
		}
		err := c.tryServer(ctx, bin, data, opts)
		var start *StartError
		taken := errors.As(err, &start) && strings.Contains(start.Log, "could not bind IPv4 address")
		if taken && opts.Port != 0 {
			return fmt.Errorf("port %d on 127.0.0.1 is taken: %w", opts.Port, err)
		}
		if !taken || attempt == attempts {
			return err
		}
	}
}

func (c *Cluster) tryServer(ctx context.Context, bin Binaries, data string, opts Options) error {
	logFile, logStart, err := c.state.openLog()
	if err != nil {
		return err
	}
	defer func() { _ = logFile.Close() }() // the server has its own copy
	// The context bounds the start, not the server's life.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), filepath.Join(bin.Dir, "postgres"), serverArgs(data, c.port, opts)...)
	cmd.Dir = filepath.Dir(data)
	cmd.Stdout, cmd.Stderr = logFile, logFile
	onParentDeath := syscall.SIGQUIT
	if opts.Persistent {
		onParentDeath = syscall.SIGINT // shuts down in order, so that the next start needs no recovery
	}
	if c.server, err = spawn(cmd, c.state.as, onParentDeath); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := c.awaitReady(ctx, data); err != nil {
		errEnd := c.server.end(stopPatience, syscall.SIGQUIT, syscall.SIGKILL)
		return errors.Join(&StartError{Step: "postgres", Err: err, Log: c.logSince(logStart)}, errEnd)
	}
	return nil
}

func serverArgs(data string, port int, opts Options) []string {
	settings := map[string]string{ //nolint:gosec // names of settings, no credentials
		"listen_addresses":        "127.0.0.1",
		"port":                    strconv.Itoa(port),
		"unix_socket_directories": "", // nobody needs one, and a long path would not fit
		"timezone":                "UTC",
		"log_timezone":            "UTC",
		"password_encryption":     "scram-sha-256",
		// The log holds no values: the detail of a refused statement would repeat the whole row.
		"log_error_verbosity":               "terse",
		"log_parameter_max_length":          "0",
		"log_parameter_max_length_on_error": "0",
		"max_connections":                   "100",
		"shared_buffers":                    "64MB",
	}
	if !opts.Durable {
		maps.Copy(settings, map[string]string{"fsync": "off", "full_page_writes": "off"})
	}
	maps.Copy(settings, opts.Settings)
	args := []string{"-D", data}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		args = append(args, "-c", name+"="+settings[name])
	}
	return args
}

// awaitReady returns once our own server says that it is ready and takes a connection: another server on the same port
// would not write our postmaster.pid.
func (c *Cluster) awaitReady(ctx context.Context, data string) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		select {
		case <-c.server.done:
			return fmt.Errorf("the server ended early: %w", errOr(c.server.err, "exit status 0"))
		case <-ctx.Done():
			return errors.Join(ctx.Err(), last)
		case <-tick.C:
		}
		if !saysReady(filepath.Join(data, "postmaster.pid"), c.server.pid) {
			continue
		}
		if last = ping(ctx, c.URL(Superuser, Superuser)); last == nil {
			return nil
		}
	}
}

func errOr(err error, text string) error {
	if err != nil {
		return err
	}
	return errors.New(text)
}

// saysReady reads postmaster.pid: the process on the first line, its status on the eighth.
func saysReady(pidFile string, pid int) bool {
	raw, err := os.ReadFile(pidFile)
	if err != nil {
		return false
	}
	lines := strings.Split(string(raw), "\n")
	return len(lines) >= 8 && strings.TrimSpace(lines[0]) == strconv.Itoa(pid) && strings.TrimSpace(lines[7]) == "ready"
}

func ping(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

func freePort(ctx context.Context) (int, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("look for a free port: %w", err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	return port, l.Close()
}

func (c *Cluster) logSince(offset int64) string {
	f, err := os.Open(c.state.path(logName))
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }()
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		return ""
	}
	raw, err := io.ReadAll(io.LimitReader(f, 1<<20))
	if err != nil {
		return ""
	}
	return lastLines(string(raw))
}

const stopPatience = 30 * time.Second

// Stop ends the server in order, and deletes its files unless the cluster is Persistent. Further calls return what the
// first one returned.
func (c *Cluster) Stop() error {
	c.stop.Do(func() {
		signals := []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT, syscall.SIGKILL}
		if !c.persistent {
			signals = signals[1:] // nobody will read the data: no checkpoint
		}
		c.stopErr = c.server.end(stopPatience, signals...)
		c.stopErr = errors.Join(c.stopErr, c.state.close(!c.persistent))
	})
	return c.stopErr
}

// PID is the server's process id.
func (c *Cluster) PID() int { return c.server.pid }

// Done is closed when the server has ended, wanted or not.
func (c *Cluster) Done() <-chan struct{} { return c.server.done }

// Port is the server's port on 127.0.0.1.
func (c *Cluster) Port() int { return c.port }

// LogFile is the path of the server's log.
func (c *Cluster) LogFile() string { return c.state.path(logName) }
