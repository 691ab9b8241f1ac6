package proc

import (
	"io"
	"os"
	"strings"
)

const (
	tailLines = 20
	tailBytes = 16 << 10
)

// Tail is the end of a log: at most 20 lines, indented. It is empty when there is nothing to read.
func Tail(path string) string {
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return ""
	}
	start := max(0, info.Size()-tailBytes)
	raw, err := io.ReadAll(io.NewSectionReader(file, start, tailBytes))
	if err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimRight(string(raw), "\n"), "\n")
	if start > 0 {
		lines = lines[1:] // cut somewhere inside
	}
	if len(lines) > tailLines {
		lines = lines[len(lines)-tailLines:]
	}
	text := strings.TrimRight(strings.Join(lines, "\n    "), " \n")
	if text == "" {
		return ""
	}
	return "    " + text
}
