package chaintest

import (
	"net/http"
	"net/http/httptest"

	"github.com/sluicepay/sluice/payment"
)

// NewLocalFake makes a Fake of a chain id of its own that listens nowhere: who asks it takes it for its transport. Tests
// that need thousands of nodes need no thousands of ports.
func NewLocalFake(chainID uint64) *Fake {
	f := &Fake{
		chainID: chainID, byHash: map[payment.Hash]*FakeBlock{}, calls: map[string]int{}, tokens: map[payment.Address]FakeToken{},
	}
	f.append(nil)
	return f
}

// RoundTrip implements http.RoundTripper: the Fake answers without a network, whatever the URL.
func (f *Fake) RoundTrip(r *http.Request) (*http.Response, error) {
	recorder := httptest.NewRecorder()
	f.serve(recorder, r)
	_ = r.Body.Close() // read to its end
	return recorder.Result(), nil
}
