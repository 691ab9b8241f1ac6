// Package doccheck keeps what the documents say about the code true.
package doccheck

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const root = "../.."

// What a document shows a rule or a trap by must be there.
func TestTestsThatDocumentsNameExist(t *testing.T) {
	t.Parallel()
	tests := allTests(t)
	require.NotEmpty(t, tests)
	named := 0
	for path, text := range documents(t) {
		for _, match := range regexp.MustCompile("`((?:Test|Fuzz|Example)[A-Z]\\w*)(?:/[^`]*)?`").FindAllStringSubmatch(text, -1) {
			named++
			require.True(t, tests[match[1]], "%s names %s, which is no test", path, match[1])
		}
	}
	require.NotZero(t, named)
}

// Links between documents, and to files and folders of the project, lead somewhere.
func TestLinksOfDocumentsLeadSomewhere(t *testing.T) {
	t.Parallel()
	for path, text := range documents(t) {
		for _, match := range regexp.MustCompile(`\]\(([^)#\s]+)(?:#[^)]*)?\)`).FindAllStringSubmatch(text, -1) {
			if strings.Contains(match[1], "://") {
				continue
			}
			_, err := os.Stat(filepath.Join(filepath.Dir(path), match[1]))
			require.NoError(t, err, "%s links to %s", path, match[1])
		}
	}
}

// `make test` leaves tests of the local stack out that take minutes; `make test-full` names them, and runs no other ones of it again.
func TestLongTestsOfTheLocalStackAreRun(t *testing.T) {
	t.Parallel()
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	require.NoError(t, err)
	named := regexp.MustCompile(`(?m)^LONG = \^\((.*)\)\$\$$`).FindSubmatch(makefile)
	require.NotNil(t, named)
	var skipped []string
	walk(t, "_test.go", func(path, text string) {
		if !strings.Contains(filepath.ToSlash(path), "/devstack/") {
			return
		}
		for _, function := range strings.Split(text, "\nfunc ")[1:] {
			if strings.Contains(function, "testing.Short()") {
				require.Contains(t, path, "e2e", "where LONG is looked for")
				skipped = append(skipped, function[:strings.Index(function, "(")])
			}
		}
	})
	require.ElementsMatch(t, skipped, strings.Split(string(named[1]), "|"))
}

func documents(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	walk(t, ".md", func(path, text string) { found[path] = text })
	return found
}

func allTests(t *testing.T) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	walk(t, "_test.go", func(_, text string) {
		for _, match := range regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Example)[A-Z]\w*)\(`).FindAllStringSubmatch(text, -1) {
			found[match[1]] = true
		}
	})
	return found
}

// walk reads every file of the project with this ending.
func walk(t *testing.T, ending string, visit func(path, text string)) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != root && strings.HasPrefix(entry.Name(), "."):
			return fs.SkipDir // .git, .build, .sluice
		case entry.IsDir() || !strings.HasSuffix(path, ending):
			return nil
		}
		text, err := os.ReadFile(path)
		visit(path, string(text))
		return err
	})
	require.NoError(t, err)
}
