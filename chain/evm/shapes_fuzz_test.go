package evm

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/payment"
)

// fuzzed is a transport that answers every request in one shape.
type fuzzed struct {
	shape
	unzipped bool // what is sent is zipped already, or said to be
}

func (f fuzzed) RoundTrip(r *http.Request) (*http.Response, error) {
	request, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	body := io.Reader(bytes.NewReader(f.shaped(idsOf(request))))
	if f.unzipped { // as net/http does
		if body, err = gzip.NewReader(body); err != nil {
			return nil, err
		}
	}
	status := f.status
	if status < 200 || status > 599 {
		status = http.StatusOK
	}
	return &http.Response{StatusCode: status, Header: http.Header{"Retry-After": {f.after}}, Body: io.NopCloser(body), Request: r}, nil
}

// fuzzedAnswer bounds what the source of the fuzz takes, and fuzzedMemory what all that it is asked may allocate for it, one
// question after another: ten of them, in smaller and smaller batches, and what is freed of it.
const (
	fuzzedAnswer = 1 << 20
	fuzzedMemory = 512 << 20
)

// Whatever a node answers, in whatever shape: no question panics, needs more memory than its share, or fails without a name.
func FuzzShapes(f *testing.F) {
	for _, s := range shapes() {
		body := []byte(s.body)
		if len(body) > 64<<10 {
			body = body[:64<<10]
		}
		f.Add(body, s.status, s.after, false)
	}
	for _, text := range []string{`[{"id":$1,"result":` + sampleBlock() + `},{"id":$2,"result":` + sampleLog() + `}]`, `[`, `{}`} {
		var zipped bytes.Buffer
		z := gzip.NewWriter(&zipped)
		for range 4 << 10 {
			_, _ = z.Write([]byte(text))
		}
		_ = z.Close()
		f.Add(zipped.Bytes(), 200, "", true)
	}
	f.Fuzz(func(t *testing.T, body []byte, status int, after string, zipped bool) {
		s := fuzzed{shape: shape{body: string(body), status: status, after: after}, unzipped: zipped}
		source, err := New(Options{URL: "http://node.invalid/", Transport: s, Timeout: 10 * time.Second, MaxAnswer: fuzzedAnswer})
		require.NoError(t, err)
		defer source.Close()
		var before, later runtime.MemStats
		runtime.ReadMemStats(&before)
		token, _ := payment.AddressFromBytes(payment.FamilyEVM, make([]byte, 20))
		filter := chain.Filter{Native: true, Tokens: []payment.Address{token}, AnyToken: true, Traces: true}
		ref := payment.BlockRef{Number: 16, Hash: payment.Hash{1}}
		wanted := []chain.Candidate{{Transfer: payment.Transfer{TxHash: payment.Hash{2}, Contract: token}}}
		for name, ask := range map[string]func() error{
			"identity": func() error { _, err := source.Identity(t.Context()); return err },
			"head":     func() error { _, err := source.Head(t.Context(), payment.TagNone); return err },
			"block":    func() error { _, err := source.BlockByHash(t.Context(), ref.Hash, filter); return err },
			"range":    func() error { _, err := source.Range(t.Context(), 14, 16, filter); return err },
			"resolve":  func() error { _, err := source.Resolve(t.Context(), ref, wanted); return err },
			"probe":    func() error { _, err := source.Probe(t.Context()); return err },
			"token":    func() error { _, err := source.TokenMeta(t.Context(), token); return err },
			"balances": func() error {
				_, err := source.Balances(t.Context(), ref, token, []payment.Address{token})
				return err
			},
			"check": func() error {
				_, err := source.CheckInclusion(t.Context(), chain.Inclusion{BlockNumber: 16, BlockHash: ref.Hash, TxHash: payment.Hash{2}},
					chain.Demand{Evidence: payment.EvidenceSelfConsistent})
				return err
			},
		} {
			require.NotEqual(t, "internal", chain.Reason(ask()), name)
		}
		runtime.ReadMemStats(&later)
		require.Less(t, later.TotalAlloc-before.TotalAlloc, uint64(fuzzedMemory))
	})
}
