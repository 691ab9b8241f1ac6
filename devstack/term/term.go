// Package term prints calm, aligned lines for people: few colours, none where they are not wanted.
package term

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/mattn/go-isatty"
)

// Printer writes lines to one output. Its methods may be called concurrently.
type Printer struct {
	mu    sync.Mutex
	out   io.Writer
	live  bool // a line may be replaced while it is being worked on
	paint bool
	open  bool // the last line is a replaceable one
}

// New prints to file. Lines are replaced only on a terminal, and colours are used only there, unless NO_COLOR is set.
func New(file *os.File) *Printer {
	terminal := isatty.IsTerminal(file.Fd()) && os.Getenv("TERM") != "dumb"
	return &Printer{out: file, live: terminal, paint: terminal && os.Getenv("NO_COLOR") == ""}
}

// Plain prints to any writer, without colours.
func Plain(out io.Writer) *Printer { return &Printer{out: out} }

const (
	bold  = "1"
	dim   = "2"
	red   = "31"
	green = "32"
)

func (p *Printer) color(code, text string) string {
	if !p.paint || code == "" || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// LabelWidth is the width of the first column.
const LabelWidth = 16

// detailWidth is the width of the second column where a third one follows.
const detailWidth = 50

// Title prints a heading with an empty line before it.
func (p *Printer) Title(text, aside string) {
	line := p.color(bold, text)
	if aside != "" {
		line += "  " + p.color(dim, aside)
	}
	p.lines("", line, "")
}

// Row prints a label, what there is to say about it, and a remark in a third column.
func (p *Printer) Row(label, detail, remark string) { p.row(label, detail, remark, "") }

// Good is Row for something that went well.
func (p *Printer) Good(label, detail, remark string) { p.row(label, detail, remark, green) }

func (p *Printer) row(label, detail, remark, code string) {
	line := "  " + pad(label, LabelWidth)
	if remark != "" {
		line += p.color(code, pad(detail, detailWidth)) + "  " + p.color(dim, remark)
	} else {
		line += p.color(code, detail)
	}
	p.lines(strings.TrimRight(line, " "))
}

// Begin says what is being worked on. On a terminal the next line replaces it; elsewhere it is printed only when it has
// something to explain.
func (p *Printer) Begin(label, remark string) {
	switch {
	case p.live:
		if remark == "" {
			remark = "…"
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.closeLine()
		_, _ = fmt.Fprint(p.out, "  "+pad(label, LabelWidth)+p.color(dim, remark))
		p.open = true
	case remark != "":
		p.Row(label, remark, "")
	}
}

// Waiting says on a terminal what is being waited for; the next line replaces it. Elsewhere it says nothing.
func (p *Printer) Waiting(label, what string) {
	if p.live {
		p.Begin(label, what)
	}
}

// Note prints a quiet line.
func (p *Printer) Note(text string) { p.lines("  " + p.color(dim, text)) }

// Gap prints an empty line.
func (p *Printer) Gap() { p.lines("") }

// Fail prints what went wrong.
func (p *Printer) Fail(text string) { p.lines("", p.color(red, text)) }

func (p *Printer) lines(lines ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closeLine()
	for _, line := range lines {
		_, _ = fmt.Fprintln(p.out, line)
	}
}

// closeLine clears the line that Begin left open.
func (p *Printer) closeLine() {
	if p.open {
		_, _ = fmt.Fprint(p.out, "\r\x1b[2K")
		p.open = false
	}
}

func pad(text string, width int) string {
	if missing := width - len([]rune(text)); missing > 0 {
		return text + strings.Repeat(" ", missing)
	}
	return text + " "
}

// Took writes a duration as people say it.
func Took(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return Seconds(d)
}

// Seconds writes a duration in seconds with one decimal.
func Seconds(d time.Duration) string {
	tenths := d.Round(100*time.Millisecond) / (100 * time.Millisecond)
	return fmt.Sprintf("%d.%d s", tenths/10, tenths%10)
}
