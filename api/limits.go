package api

import (
	"fmt"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
)

const (
	headerRateLimit       = "RateLimit"
	headerRateLimitPolicy = "RateLimit-Policy"

	// limitWindow is in how many parts of a minute a merchant may ask: at once he may ask for one part's share.
	limitWindow    = 10 * time.Second
	windowsAMinute = int(time.Minute / limitWindow)
	// sweepEvery is how often what is not limited is forgotten.
	sweepEvery = time.Minute
)

// account is who shares a limit: a merchant in one mode, whichever of his keys he uses.
type account struct {
	merchant payment.MerchantID
	mode     payment.Mode
}

// bucket is an account's limit. It fills evenly.
type bucket struct {
	*rate.Limiter
	perMinute int
}

// each is how long it takes until one more may be asked.
func (b *bucket) each() time.Duration { return time.Minute / time.Duration(b.perMinute) }

// limits count the requests of merchants in this process. Keys that were let in once are known by their hash, so that a flood is
// refused without the database being asked about each request; whether a key still counts is asked of every request that is let through.
type limits struct {
	now func() time.Time

	mu       sync.Mutex
	accounts map[account]*bucket
	keys     map[[32]byte]account
	swept    time.Time
}

func newLimits() *limits {
	return &limits{now: time.Now, accounts: map[account]*bucket{}, keys: map[[32]byte]account{}}
}

// admitKey takes a request of a key that was let in before from its account's limit. known tells whether it was. Error: CodeRateLimited.
func (l *limits) admitKey(hash [32]byte, header http.Header) (known bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	owner, known := l.keys[hash]
	if !known {
		return false, nil
	}
	return true, l.take(l.accounts[owner], header)
}

// admit remembers a key that was just let in, and unless it was known takes the request from its account's limit, which is what the
// merchant's row says now. Error: CodeRateLimited.
func (l *limits) admit(hash [32]byte, who store.Principal, known bool, header http.Header) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sweep()
	owner := account{who.MerchantID, who.Mode}
	b := l.accounts[owner]
	if b == nil || b.perMinute != who.RequestsPerMinute {
		b = &bucket{perMinute: who.RequestsPerMinute}
		b.Limiter = rate.NewLimiter(rate.Every(b.each()), max(1, who.RequestsPerMinute/windowsAMinute))
		l.accounts[owner] = b
	}
	l.keys[hash] = owner
	header.Set(headerRateLimitPolicy, fmt.Sprintf(`"requests";q=%d;w=%d, "orders";q=%d;w=60`,
		b.Burst(), int(limitWindow.Seconds()), who.OrdersPerMinute))
	if known {
		return nil
	}
	return l.take(b, header)
}

// forget has what comes with a key count for nobody: it was revoked, and whoever goes on using it is not its merchant.
func (l *limits) forget(hash [32]byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.keys, hash)
}

// take takes one request and says what is left.
func (l *limits) take(b *bucket, header http.Header) error {
	now := l.now()
	allowed := b.AllowN(now, 1)
	left := max(0, int(b.TokensAt(now)))
	header.Set(headerRateLimit, fmt.Sprintf(`"requests";r=%d;t=%d`, left, *seconds(time.Duration(b.Burst()-left) * b.each())))
	if allowed {
		return nil
	}
	return payment.Wrap(store.RetryAfter(b.each()), payment.CodeRateLimited, "", "at most %d requests a minute, and %d at once", b.perMinute, b.Burst())
}

// sweep forgets accounts that have their whole limit, and their keys: they begin with it anyway.
func (l *limits) sweep() {
	now := l.now()
	if now.Sub(l.swept) < sweepEvery {
		return
	}
	l.swept = now
	for owner, b := range l.accounts {
		if int(b.TokensAt(now)) >= b.Burst() {
			delete(l.accounts, owner)
		}
	}
	for hash, owner := range l.keys {
		if l.accounts[owner] == nil {
			delete(l.keys, hash)
		}
	}
}
