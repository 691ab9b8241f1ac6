package workflows

import (
	"strings"
	"time"
	"unicode"
)

// markup are the characters that Markdown may read as more than themselves, those that make links of bare text included.
const markup = "\\`*_{}[]<>()#+-.!|~&:@"

// escape makes text from elsewhere harmless in Markdown: what Markdown reads as markup is escaped, what a terminal or a
// bidirectional display acts on is dropped.
func escape(text string) string {
	var out strings.Builder
	for _, r := range text {
		switch {
		case r == ' ' || r == '\n' || r == '\t':
			out.WriteByte(' ')
		case !unicode.IsGraphic(r):
			// Control, format and bidirectional characters, invisible and unassigned ones.
		case strings.ContainsRune(markup, r):
			out.WriteByte('\\')
			out.WriteRune(r)
		default:
			out.WriteRune(r)
		}
	}
	return out.String()
}

// page collects the lines of a workflow's current details.
type page struct{ text strings.Builder }

func (p *page) line(parts ...string) {
	p.text.WriteString(strings.Join(parts, ""))
	p.text.WriteString("\n\n")
}

func (p *page) item(parts ...string) {
	p.text.WriteString("- ")
	p.text.WriteString(strings.Join(parts, ""))
	p.text.WriteString("\n")
}

func (p *page) String() string { return p.text.String() }

// stamp is a time for people; nil tells them that there is none.
func stamp(t time.Time) string {
	if t.IsZero() {
		return "no time set"
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}
