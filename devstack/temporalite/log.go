package temporalite

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.temporal.io/server/common/log"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/sluicepay/sluice/devstack/loopback"
)

// newLogger writes warnings and worse to path.
func newLogger(path string) (*zap.Logger, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("create the log folder: %w", err)
	}
	cfg := zap.NewProductionConfig()
	cfg.OutputPaths = []string{path}
	cfg.ErrorOutputPaths = []string{path}
	cfg.EncoderConfig = log.DefaultZapEncoderConfig
	cfg.Level = zap.NewAtomicLevelAt(zap.WarnLevel)
	cfg.Sampling = nil
	logger, err := cfg.Build(zap.WithFatalHook(panicOnFatal{}))
	if err != nil {
		return nil, fmt.Errorf("open temporal's log: %w", err)
	}
	return logger, nil
}

// fatalError is what the service wanted to end the process for.
type fatalError struct {
	message string
	cause   error
}

func (e *fatalError) Error() string {
	if e.cause == nil {
		return e.message
	}
	return e.message + ": " + e.cause.Error()
}

func (e *fatalError) Unwrap() error { return e.cause }

// panicOnFatal replaces the service's habit of exiting the process, for instance when a port is taken: the process
// may be a test, or a supervisor with children to stop.
type panicOnFatal struct{}

var _ zapcore.CheckWriteHook = panicOnFatal{}

func (panicOnFatal) OnWrite(entry *zapcore.CheckedEntry, fields []zapcore.Field) {
	fatal := &fatalError{message: entry.Message}
	for _, field := range fields {
		if err, ok := field.Interface.(error); ok && field.Type == zapcore.ErrorType {
			fatal.cause = err
		}
	}
	panic(fatal)
}

// catchFatal turns a fatal message of the service during run into an error.
func catchFatal(run func() error) (err error) {
	defer func() {
		recovered := recover()
		if recovered == nil {
			return
		}
		fatal, ok := recovered.(*fatalError)
		if !ok {
			panic(recovered)
		}
		err = fatal
	}()
	return run()
}

// portTaken looks at the text too: the service wraps some listen errors without keeping them.
func portTaken(err error) bool {
	var fatal *fatalError
	return loopback.InUse(err) || errors.As(err, &fatal) && strings.Contains(err.Error(), "address already in use")
}
