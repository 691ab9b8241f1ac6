package webhook_test

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/sluicepay/sluice/webhook"
)

// forbiddenRanges names an address inside, and where it matters the first and last,
// of every range that callbacks may not reach. It is written by hand, apart from the
// library's own list.
var forbiddenRanges = map[string][]string{
	"this network":           {"0.0.0.0", "0.255.255.255"},
	"private 10/8":           {"10.0.0.0", "10.255.255.255"},
	"private 172.16/12":      {"172.16.0.0", "172.31.255.255"},
	"private 192.168/16":     {"192.168.0.0", "192.168.255.255"},
	"shared (CGNAT)":         {"100.64.0.0", "100.127.255.255"},
	"loopback":               {"127.0.0.0", "127.0.0.1", "127.255.255.255"},
	"link-local":             {"169.254.0.0", "169.254.255.255"},
	"metadata":               {"169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16", "192.0.0.192"},
	"protocol assignments":   {"192.0.0.0", "192.0.0.255"},
	"documentation":          {"192.0.2.1", "198.51.100.1", "203.0.113.1"},
	"6to4 relay":             {"192.88.99.1"},
	"benchmarking":           {"198.18.0.0", "198.19.255.255"},
	"multicast":              {"224.0.0.0", "239.255.255.255"},
	"reserved":               {"240.0.0.0", "255.255.255.254"},
	"broadcast":              {"255.255.255.255"},
	"v6 unspecified":         {"::"},
	"v6 loopback":            {"::1"},
	"v4-compatible":          {"::127.0.0.1", "::8.8.8.8"},
	"v4-mapped":              {"::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:0.0.0.0"},
	"v4-translated":          {"::ffff:0:127.0.0.1"},
	"NAT64":                  {"64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::7f00:1"},
	"discard":                {"100::1"},
	"SRv6":                   {"5f00::1"},
	"unique local":           {"fc00::1", "fd00:ec2::254", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
	"v6 link-local":          {"fe80::1", "febf::1"},
	"site-local":             {"fec0::1"},
	"v6 multicast":           {"ff02::1", "ff05::2"},
	"6to4":                   {"2002:7f00:1::", "2002:a9fe:a9fe::1"},
	"Teredo":                 {"2001::1", "2001:0:7f00:1::"},
	"ORCHID":                 {"2001:10::1", "2001:20::1"},
	"v6 documentation":       {"2001:db8::1", "3fff::1"},
	"AS112":                  {"192.31.196.1", "192.175.48.1", "2620:4f:8000::1"},
	"outside global unicast": {"4000::1", "8000::1", "1fff::1"},
}

// Every forbidden address is refused as a literal in a URL, and when a name leads to
// it; nothing is ever connected.
func TestForbiddenRanges(t *testing.T) {
	t.Parallel()
	for name, addresses := range forbiddenRanges {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, text := range addresses {
				addr := netip.MustParseAddr(text)
				literal := "https://" + bracket(text) + "/hooks"
				require.Error(t, webhook.ValidateURL(literal), text)
				require.Equal(t, webhook.OutcomeRefusedTarget, send(t, webhook.Config{}, literal).Outcome, text)

				resolver := newResolver(t, addr)
				cfg := webhook.Config{Resolver: resolver.client}
				for _, scheme := range []string{"http", "https"} {
					result := send(t, cfg, scheme+"://rebound.example.com:8443/")
					require.Equal(t, webhook.OutcomeRefusedTarget, result.Outcome, "%s by name over %s", text, scheme)
				}
				require.Positive(t, resolver.asked.Load(), "the name was resolved by the test's resolver")
			}
		})
	}
}

// A name that was harmless when the order was made and is not when the callback goes
// out: the guard looks at the address that is dialled.
func TestDNSRebinding(t *testing.T) {
	t.Parallel()
	receiver := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	port := receiver.port()
	loopback := netip.MustParseAddr("127.0.0.1")
	resolver := newResolver(t, loopback)

	raw := "http://rebound.example.com:" + port + "/"
	require.NoError(t, webhook.ValidateURL(raw))
	result := send(t, webhook.Config{Resolver: resolver.client}, raw)
	require.Equal(t, webhook.OutcomeRefusedTarget, result.Outcome)

	config := webhook.Config{Resolver: resolver.client}
	require.Equal(t, webhook.OutcomeRefusedTarget, send(t, config, raw, targets(t, "127.0.0.1:"+port)).Outcome, "an address on the list does not cover a name")
	require.Zero(t, receiver.connections.Load())

	name := targets(t, "rebound.example.com:"+port)
	require.Equal(t, webhook.OutcomeDelivered, send(t, config, "http://Rebound.example.com:"+port+"/", name).Outcome, "a name on the list covers itself")
	require.Equal(t, webhook.OutcomeRefusedTarget, send(t, config, "http://rebound.example.com:1024/", name).Outcome, "and no other port")
	require.EqualValues(t, 1, receiver.connections.Load())
}

// A pooled connection that the list let through serves its own host and port only, and only merchants who were granted it: another one's
// URL may name the same host.
func TestPooledConnectionIsNotShared(t *testing.T) {
	t.Parallel()
	receiver := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	resolver := newResolver(t, netip.MustParseAddr("127.0.0.1"))
	sender := newSender(t, webhook.Config{Resolver: resolver.client})
	named := "http://rebound.example.com:" + receiver.port() + "/"
	address := targets(t, "127.0.0.1:"+receiver.port())
	require.Equal(t, webhook.OutcomeDelivered, sendWith(t, sender, receiver.URL, address).Outcome)
	require.Equal(t, webhook.OutcomeRefusedTarget, sendWith(t, sender, named, address).Outcome)
	require.Equal(t, webhook.OutcomeDelivered, sendWith(t, sender, named, targets(t, "rebound.example.com:"+receiver.port())).Outcome)
	require.Equal(t, webhook.OutcomeRefusedTarget, sendWith(t, sender, named).Outcome, "the connection is another merchant's")
	require.EqualValues(t, 2, receiver.connections.Load())
}

func TestNameThatDoesNotResolve(t *testing.T) {
	t.Parallel()
	resolver := newResolver(t) // knows no address
	result := send(t, webhook.Config{Resolver: resolver.client}, "https://gone.example.com/")
	require.Equal(t, webhook.OutcomeDNSError, result.Outcome)
}

// requirePublicURL checks a URL that was taken by rules written apart from the code's.
func requirePublicURL(t *testing.T, raw string) {
	t.Helper()
	u, err := url.Parse(raw)
	require.NoError(t, err)
	require.Contains(t, []string{"http", "https"}, u.Scheme)
	require.Nil(t, u.User)
	require.Empty(t, u.Fragment)
	require.LessOrEqual(t, len(raw), webhook.MaxURL)
	host := u.Hostname()
	if ip := net.ParseIP(host); ip != nil {
		require.True(t, ip.IsGlobalUnicast() && !ip.IsPrivate() && !ip.IsLoopback() && !ip.IsLinkLocalUnicast(), host)
		return
	}
	require.Contains(t, host, ".")
	require.False(t, strings.HasSuffix(host, "."))
	require.NotEqual(t, "localhost", strings.ToLower(host))
	last := host[strings.LastIndexByte(host, '.')+1:]
	require.NotEmpty(t, strings.Trim(last, "0123456789"), "a resolver may read %q as an address", host)
}

// resolver is a name server on loopback that answers every question with the same
// addresses.
type resolver struct {
	client *net.Resolver
	asked  atomic.Int64
}

func newResolver(t *testing.T, addresses ...netip.Addr) *resolver {
	t.Helper()
	conn, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	require.NoError(t, err)
	r := &resolver{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			r.asked.Add(1)
			if reply, ok := answer(buf[:n], addresses); ok {
				_, _ = conn.WriteTo(reply, from)
			}
		}
	}()
	t.Cleanup(func() { _ = conn.Close(); <-done })
	r.client = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
	return r
}

// answer replies to a question about A with the IPv4 addresses and about AAAA with the
// others, mapped ones among them.
func answer(query []byte, addresses []netip.Addr) ([]byte, bool) {
	var parser dnsmessage.Parser
	header, err := parser.Start(query)
	if err != nil {
		return nil, false
	}
	question, err := parser.Question()
	if err != nil {
		return nil, false
	}
	message := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: header.ID, Response: true, RecursionAvailable: true},
		Questions: []dnsmessage.Question{question},
	}
	if len(addresses) == 0 {
		message.RCode = dnsmessage.RCodeNameError
	}
	for _, addr := range addresses {
		resource := dnsmessage.ResourceHeader{Name: question.Name, Type: question.Type, Class: question.Class}
		switch {
		case question.Type == dnsmessage.TypeA && addr.Is4():
			message.Answers = append(message.Answers, dnsmessage.Resource{Header: resource, Body: &dnsmessage.AResource{A: addr.As4()}})
		case question.Type == dnsmessage.TypeAAAA && addr.Is6():
			message.Answers = append(message.Answers, dnsmessage.Resource{Header: resource, Body: &dnsmessage.AAAAResource{AAAA: addr.As16()}})
		}
	}
	reply, err := message.Pack()
	return reply, err == nil
}

func bracket(address string) string {
	if strings.Contains(address, ":") {
		return "[" + address + "]"
	}
	return address
}
