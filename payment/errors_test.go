package payment

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestErrorPrintsEverythingForLogs(t *testing.T) {
	t.Parallel()
	cause := errors.New("dial tcp: refused")
	require.Equal(t, "invalid_amount (amount): amount is zero", E(CodeInvalidAmount, "amount", "amount is %s", "zero").Error())
	require.Equal(t, "unavailable: try again: dial tcp: refused", Wrap(cause, CodeUnavailable, "", "try again").Error())
	require.Equal(t, "internal", (&Error{Code: CodeInternal}).Error())
}

func TestMessageNeverHoldsTheCause(t *testing.T) {
	t.Parallel()
	err := Wrap(errors.New("https://rpc.example/v2/secret"), CodeUnavailable, "", "the chain cannot be read")
	require.NotContains(t, err.Message, "secret")
	require.ErrorContains(t, err.Err, "secret")
}

func TestErrorsMatchByCode(t *testing.T) {
	t.Parallel()
	cause := errors.New("cause")
	err := fmt.Errorf("outer: %w", Wrap(cause, CodeNotFound, "id", "no such order"))
	require.ErrorIs(t, err, &Error{Code: CodeNotFound})
	require.NotErrorIs(t, err, &Error{Code: CodeInternal})
	require.ErrorIs(t, err, cause)
	require.NotErrorIs(t, E(CodeNotFound, "", "x"), cause)
}

func TestCodeOf(t *testing.T) {
	t.Parallel()
	require.Equal(t, Code(""), CodeOf(nil))
	require.Equal(t, CodeInternal, CodeOf(errors.New("foreign")))
	require.Equal(t, CodeStale, CodeOf(fmt.Errorf("a: %w", E(CodeStale, "", "x"))))
	require.Equal(t, CodeUnavailable, CodeOf(Wrap(E(CodeStale, "", "inner"), CodeUnavailable, "", "outer")), "the outermost code counts")
}

// constants reads the package's source and returns every constant of a type by
// name with its value, and whether a comment stands over it.
func constants(t *testing.T, typeName string) (values map[string]string, commented map[string]bool) {
	t.Helper()
	values, commented = map[string]string{}, map[string]bool{}
	entries, err := os.ReadDir(".")
	require.NoError(t, err)
	files := token.NewFileSet()
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), ".go") || strings.HasSuffix(entry.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(files, entry.Name(), nil, parser.ParseComments)
		require.NoError(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			named, ok := spec.Type.(*ast.Ident)
			if !ok || named.Name != typeName || len(spec.Values) != 1 {
				return true
			}
			literal, ok := spec.Values[0].(*ast.BasicLit)
			if ok {
				name := spec.Names[0].Name
				values[name] = strings.Trim(literal.Value, `"`)
				commented[name] = spec.Doc != nil && strings.HasPrefix(spec.Doc.Text(), name+": ")
			}
			return true
		})
	}
	return values, commented
}

func words[T ~string](list []T) []string {
	out := make([]string, len(list))
	for i, word := range list {
		out[i] = string(word)
	}
	return out
}

// A constant that is left out of its list is invisible to whoever loops over it.
func TestListsAreComplete(t *testing.T) {
	t.Parallel()
	for typeName, list := range map[string][]string{
		"Code":         words(Codes()),
		"State":        words(States()),
		"Label":        words(AllLabels()),
		"EventType":    words(EventTypes()),
		"Trigger":      words(Triggers()),
		"Family":       words(Families()),
		"PaymentState": words(PaymentStates()),
	} {
		declared, _ := constants(t, typeName)
		values := make([]string, 0, len(declared))
		for _, value := range declared {
			values = append(values, value)
		}
		require.ElementsMatch(t, values, list, typeName)
	}
}

func TestEveryCodeSaysWhatItMeans(t *testing.T) {
	t.Parallel()
	_, commented := constants(t, "Code")
	require.NotEmpty(t, commented)
	for name, ok := range commented {
		require.True(t, ok, "%s needs a comment beginning with its name", name)
	}
	for _, code := range Codes() {
		require.Regexp(t, `\A[a-z]+(_[a-z]+)*\z`, string(code))
	}
}
