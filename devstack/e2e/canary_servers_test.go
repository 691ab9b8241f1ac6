package e2e_test

import (
	"fmt"
	"html"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"
)

// tally counts what servers saw. Its methods may be called concurrently.
type tally struct {
	counting sync.Mutex
	times    map[string]int
}

func (c *tally) saw(what string) {
	c.counting.Lock()
	defer c.counting.Unlock()
	if c.times == nil {
		c.times = map[string]int{}
	}
	c.times[what]++
}

func (c *tally) count(what string) int {
	c.counting.Lock()
	defer c.counting.Unlock()
	return c.times[what]
}

// keyedNode is a provider in front of a node: whoever calls needs a password, a key in the path and a key in the query. It
// fails as it is told to, and repeats the keys in its errors, as providers do.
type keyedNode struct {
	tally

	// rpc and ws are the URLs with all keys. The keys are raw.
	rpc, ws                                string
	password, path, query, wsPath, wsQuery string

	t        *testing.T
	address  string
	toRPC    http.Handler
	toWS     http.Handler
	mu       sync.Mutex
	server   *http.Server
	served   sync.WaitGroup
	mode     string
	released chan struct{} // closed when the mode changes
}

// The ways in which the node fails. Each is also what it counts its requests by.
const (
	nodeWell       = "well"
	nodeRefuses    = "refuses connections"
	nodeBreaks     = "answers 500"
	nodeObjects    = "answers with an error for each call"
	nodeGarbles    = "answers garbage"
	nodeLimits     = "answers 429"
	nodeRedirects  = "redirects"
	nodeHangsUp    = "hangs up"
	nodeTakesLong  = "takes too long"
	nodeSawRPCKeys = "RPC keys"
	nodeSawWSKeys  = "WebSocket keys"
)

func newKeyedNode(t *testing.T) *keyedNode {
	t.Helper()
	n := &keyedNode{
		t: t, mode: nodeWell, released: make(chan struct{}),
		password: newCanary(), path: newCanary(), query: newCanary() + "+/==", wsPath: newCanary(), wsQuery: newCanary(),
	}
	n.listen()
	n.rpc = fmt.Sprintf("http://operator:%s@%s/v2/%s?apikey=%s", n.password, n.address, n.path, url.QueryEscape(n.query))
	n.ws = fmt.Sprintf("ws://%s/ws/%s?apikey=%s", n.address, n.wsPath, n.wsQuery)
	t.Cleanup(n.close)
	return n
}

// stand puts it in front of a node.
func (n *keyedNode) stand(rpc, ws string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.toRPC, n.toWS = forwardTo(n.t, rpc), forwardTo(n.t, ws)
}

func forwardTo(t *testing.T, raw string) http.Handler {
	t.Helper()
	target, err := url.Parse(raw)
	require.NoError(t, err)
	target.Scheme = "http"
	return &httputil.ReverseProxy{
		ErrorLog: log.New(io.Discard, "", 0),
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL, r.Out.Host = target, target.Host
			r.Out.Header.Del("Authorization")
		},
	}
}

// set changes how it behaves.
func (n *keyedNode) set(mode string) {
	n.mu.Lock()
	was := n.mode
	n.mode = mode
	close(n.released)
	n.released = make(chan struct{})
	n.mu.Unlock()
	switch {
	case mode == nodeRefuses:
		n.close()
	case was == nodeRefuses:
		n.listen()
	}
}

// listen opens its port, the same one again after it was closed.
func (n *keyedNode) listen() {
	address := n.address
	if address == "" {
		address = "127.0.0.1:0"
	}
	listener, err := net.Listen("tcp", address)
	require.NoError(n.t, err)
	n.address = listener.Addr().String()
	server := &http.Server{Handler: n, ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	n.server = server
	n.served.Go(func() { _ = server.Serve(listener) })
}

func (n *keyedNode) close() {
	_ = n.server.Close()
	n.served.Wait()
}

// ServeHTTP answers a call or a subscription.
func (n *keyedNode) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	mode, released, forward := n.mode, n.released, n.toRPC
	n.mu.Unlock()
	user, password, _ := r.BasicAuth()
	switch {
	case r.URL.Path == "/v2/"+n.path && r.URL.Query().Get("apikey") == n.query && user == "operator" && password == n.password:
		n.saw(nodeSawRPCKeys)
	case r.URL.Path == "/ws/"+n.wsPath && r.URL.Query().Get("apikey") == n.wsQuery:
		n.saw(nodeSawWSKeys)
		forward = n.toWS
	default:
		http.Error(w, "who are you?", http.StatusUnauthorized)
		return
	}
	n.saw(mode)
	switch mode {
	case nodeWell:
		forward.ServeHTTP(w, r)
	case nodeTakesLong:
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-released:
		case <-r.Context().Done():
		}
		panic(http.ErrAbortHandler)
	case nodeHangsUp:
		panic(http.ErrAbortHandler)
	default:
		n.fail(w, r, mode)
	}
}

// complaint repeats the keys in as many ways as fit into what is kept of a node's words: as they are, as the URL had them,
// in another case, and with an invisible character within that is taken out before anybody sees it.
func (n *keyedNode) complaint(r *http.Request) string {
	hidden := n.path[:9] + "\u200b" + n.path[9:]
	return fmt.Sprintf("no %s %s %s %s %s %s", hidden, strings.ToLower(n.path), n.query, n.password, url.QueryEscape(n.query), r.URL)
}

func (n *keyedNode) fail(w http.ResponseWriter, r *http.Request, mode string) {
	says := n.complaint(r)
	object := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":%q}}`, says)
	switch mode {
	case nodeBreaks:
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = io.WriteString(w, object)
	case nodeObjects:
		_, _ = io.WriteString(w, object)
	case nodeGarbles:
		_, _ = fmt.Fprintf(w, `[{"jsonrpc":"2.0","id":1,"result":%s`, says)
	case nodeLimits:
		w.Header().Set("Retry-After", "1")
		http.Error(w, says, http.StatusTooManyRequests)
	case nodeRedirects:
		http.Redirect(w, r, "http://"+n.address+"/elsewhere/"+n.path+"?apikey="+url.QueryEscape(n.query), http.StatusTemporaryRedirect)
	}
}

// shop is a merchant's server. Every path under which it is called has a token of its own in the query.
type shop struct {
	tally

	url    string
	tokens map[string]string
	// remark is in the answers that are kept, so that whoever looks for secrets there can tell that there was something.
	remark string
	mu     sync.Mutex
	knows  map[string]*standardwebhooks.Webhook
}

// The paths of a shop, by how they answer.
const (
	shopHooks  = "/hooks"  // the merchant's endpoint: takes everything
	shopTakes  = "/takes"  // takes everything
	shopBreaks = "/breaks" // 500, with a page that shows the request
	shopMoved  = "/moved"  // redirects to a URL with a token
	shopLanded = "/landed" // where that redirect leads
	shopAway   = "/away"   // ends connections without an answer
)

func newShop(t *testing.T, listener net.Listener) *shop {
	t.Helper()
	s := &shop{
		url: "http://" + listener.Addr().String(), remark: "remark-" + newCanary(),
		tokens: map[string]string{}, knows: map[string]*standardwebhooks.Webhook{},
	}
	for _, path := range []string{shopHooks, shopTakes, shopBreaks, shopMoved, shopLanded, shopAway} {
		s.tokens[path] = newCanary()
	}
	server := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	var served sync.WaitGroup
	served.Go(func() { _ = server.Serve(listener) })
	t.Cleanup(func() {
		_ = server.Close()
		served.Wait()
	})
	return s
}

// hook is the URL of a path, with its token.
func (s *shop) hook(path string) string { return s.url + path + "?token=" + s.tokens[path] }

// trust has requests counted that are signed with a secret.
func (s *shop) trust(t *testing.T, name, secret string) {
	t.Helper()
	verify, err := standardwebhooks.NewWebhook(secret)
	require.NoError(t, err)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.knows[name] = verify
}

// ServeHTTP takes a callback.
func (s *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil || r.URL.Query().Get("token") != s.tokens[r.URL.Path] {
		http.Error(w, "who are you?", http.StatusForbidden)
		return
	}
	s.saw(r.URL.Path)
	s.mu.Lock()
	for name, verify := range s.knows {
		if verify.Verify(body, r.Header) == nil {
			s.saw(name)
		}
	}
	s.mu.Unlock()
	switch r.URL.Path {
	case shopBreaks:
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = fmt.Fprintf(w, "<h1>%s</h1><p>%s</p><pre>%s %s %q</pre>", s.remark, html.EscapeString(s.hook(shopBreaks)), r.Method,
			r.RequestURI, r.URL.Query())
	case shopMoved:
		w.Header().Set("Location", s.hook(shopLanded))
		w.WriteHeader(http.StatusFound)
		_, _ = fmt.Fprintf(w, `%s: it is <a href="%s">here</a>`, s.remark, html.EscapeString(s.hook(shopLanded)))
	default:
		_, _ = io.WriteString(w, s.remark)
	}
}
