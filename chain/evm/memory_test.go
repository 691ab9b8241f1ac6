package evm

import (
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"runtime/metrics"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/payment"
)

// bomb is an answer of a few kilobytes that is tens of megabytes: the same part, over and over, between a head and a tail.
type bomb struct {
	first            bool // tried in short runs too
	name             string
	head, part, tail string
}

func bombs() []bomb {
	log := strings.TrimSuffix(strings.TrimPrefix(sampleLog(), "["), "]")
	block := strings.TrimSuffix(someBlock, "]}")
	return []bomb{
		{true, "empty objects", `[{"id":$1,"result":` + block + `]}},{"id":$2,"result":[`, `{},`, `{}]}]`},
		{false, "empty answers", `[`, `{},`, `{}]`},
		{false, "nulls", `[{"id":$1,"result":` + block, `null,`, `null]}}]`},
		{false, "numbers", `[{"id":$1,"result":` + block, `0,`, `0]}}]`},
		{false, "topics", `[{"id":$1,"result":` + block + `]}},{"id":$2,"result":[{"topics":[`, `null,`, `null]}]}]`},
		{false, "errors", `[`, `{"error":{}},`, `{}]`},
		{false, "lists", `[{"id":$1,"result":` + block, `[],`, `[]]}}]`},
		{false, "deep", `[{"id":$1,"result":` + block, `[`, `]`},
		{false, "transactions", `[{"id":$1,"result":` + block, `{"hash":"` + hash1 + `"},`, `"` + hash1 + `"]}},{"id":$2,"result":[]}]`},
		{true, "logs", `[{"id":$1,"result":` + block + `]}},{"id":$2,"result":[`, log + ",", log + `]}]`},
		{false, "one long string", `[{"id":$1,"result":{"logsBloom":"0x`, strings.Repeat("0", 64), `"}}]`},
		{false, "long data", `[{"id":$1,"result":` + block + `]}},{"id":$2,"result":[{"data":"0x`, strings.Repeat("0", 64), `"}]}]`},
		{false, "white space", ` `, strings.Repeat(" ", 64), `[]`},
	}
}

// write sends so many bytes of it.
func (b bomb) write(w io.Writer, ids [][]byte, size int) {
	pairs := []string{"$1", "777", "$2", "777"}
	for i := range min(len(ids), 2) {
		pairs[2*i+1] = string(ids[i])
	}
	ided := strings.NewReplacer(pairs...)
	_, _ = ided.WriteString(w, b.head)
	part := []byte(strings.Repeat(b.part, max(1, (32<<10)/len(b.part))))
	for sent := 0; sent < size; sent += len(part) {
		if _, err := w.Write(part); err != nil {
			return
		}
	}
	_, _ = ided.WriteString(w, b.tail)
}

func (b bomb) serve(w http.ResponseWriter, r *http.Request, size int) {
	if websocket.IsWebSocketUpgrade(r) {
		conn, err := (&websocket.Upgrader{}).Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		for {
			_, request, err := conn.ReadMessage()
			if err != nil {
				return
			}
			out, err := conn.NextWriter(websocket.TextMessage)
			if err != nil {
				return
			}
			b.write(out, rawIDs(request), size)
			if out.Close() != nil {
				return
			}
		}
	}
	request, _ := io.ReadAll(r.Body)
	w.Header().Set("Content-Encoding", "gzip")
	zipped, _ := gzip.NewWriterLevel(w, gzip.BestSpeed)
	b.write(zipped, rawIDs(request), size)
	_ = zipped.Close()
}

func rawIDs(request []byte) [][]byte {
	var raw [][]byte
	for _, id := range idsOf(request) {
		raw = append(raw, id)
	}
	return raw
}

// peak watches the heap and tells, when it is stopped, by how much it grew at most.
func peak() (stop func() uint64) {
	runtime.GC()
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	before, most := sample[0].Value.Uint64(), uint64(0)
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				metrics.Read(sample)
				most = max(most, sample[0].Value.Uint64())
			}
		}
	}()
	return func() uint64 {
		close(done)
		<-ended
		return most - min(most, before)
	}
}

// Whatever endpoints answer, and however many do at once, what is held of it stays within MemoryBound: a worker dies of more.
// It runs alone, because others need memory too.
func TestAnswersAreHeldWithinABound(t *testing.T) { //nolint:paralleltest // see above
	const atOnce, size = 5, 31 << 20
	for _, b := range bombs() {
		if (testing.Short() || raceDetector) && !b.first {
			continue // they take a minute together, and under the race detector five, which also keeps more in memory than there is
		}
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { b.serve(w, r, size) }))
		stop, started := peak(), time.Now()
		var group sync.WaitGroup
		for i := range atOnce {
			url := server.URL
			if i%2 == 1 {
				url = "ws" + strings.TrimPrefix(url, "http")
			}
			group.Go(func() {
				source, err := New(Options{URL: url, Timeout: 2 * time.Minute})
				require.NoError(t, err)
				defer source.Close()
				ctx, question := chain.WithQuestion(t.Context())
				defer question.End()
				token, _ := payment.AddressFromBytes(payment.FamilyEVM, make([]byte, 20))
				_, err = source.BlockByHash(ctx, payment.Hash{1}, chain.Filter{Native: true, Tokens: []payment.Address{token}})
				require.Error(t, err)
				require.Contains(t, []string{"answer_too_large", "malformed", "inconsistent", "reorged"}, chain.Reason(err), b.name)
			})
		}
		group.Wait()
		held := stop()
		t.Logf("%-16s %d at once: at most %4d MiB, %s", b.name, atOnce, held>>20, time.Since(started).Round(time.Millisecond))
		require.LessOrEqual(t, held, uint64(MemoryBound), b.name)
		server.Close()
	}
}

// What a batch is answered with in many requests is one intake: a hundred small bombs are a large one.
func TestManyAnswersAreOneIntake(t *testing.T) {
	t.Parallel()
	padded := `[` + strings.Repeat(`{"id":$1,"result":{"logsBloom":"0x`+strings.Repeat("0", 1<<20)+`"}}`, 1) + `]`
	server := httptest.NewServer(shape{body: padded, calls: 1})
	t.Cleanup(server.Close)
	source, err := New(Options{URL: server.URL, MaxBatch: 1, MaxAnswer: 4 << 20})
	require.NoError(t, err)
	t.Cleanup(source.Close)
	calls := make([]*call, 10)
	for i := range calls {
		calls[i] = blockByNumber(uint64(i), headersOnly)
	}
	require.ErrorIs(t, source.ask(t.Context(), calls...), chain.ErrTooLarge)
	var held int
	for _, c := range calls {
		held += len(c.result)
	}
	require.Less(t, held, 4<<20)
}

// A large answer waits for its turn, and the turn ends with the question.
func TestLargeAnswersTakeTurns(t *testing.T) {
	t.Parallel()
	body := `[{"id":$1,"result":{"logsBloom":"0x` + strings.Repeat("0", 2<<20) + `"}}]`
	server := httptest.NewServer(shape{body: body, calls: 1})
	t.Cleanup(server.Close)
	source, err := New(Options{URL: server.URL, Timeout: time.Minute})
	require.NoError(t, err)
	t.Cleanup(source.Close)
	ctx, question := chain.WithQuestion(t.Context())
	require.NoError(t, source.ask(ctx, blockByNumber(1, headersOnly)))
	require.NoError(t, source.ask(ctx, blockByNumber(2, headersOnly)), "the same question holds its turn already")
	impatient, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, source.ask(impatient, blockByNumber(3, headersOnly)), context.DeadlineExceeded, "another one waits")
	question.End()
	for range 3 {
		require.NoError(t, source.ask(t.Context(), blockByNumber(4, headersOnly)), "a question that nobody marks ends with its batch")
	}
	require.Empty(t, source.large)
}

func TestShaper(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]error{
		`{"a":[1,2,"[,{\",["]}`:                      nil,
		strings.Repeat("[", deepest):                 nil,
		strings.Repeat("[", deepest+1):               chain.ErrMalformed,
		strings.Repeat("[]", 1000):                   nil,
		strings.Repeat(`{"calls":[`, deepest):        chain.ErrMalformed,
		`"` + strings.Repeat(`{[,`, 1<<16) + `"`:     nil,
		strings.Repeat("]", 100) + `[1,2]`:           nil,
		`[` + strings.Repeat(`1,`, 1<<20/itemWeight): chain.ErrTooLarge,
		strings.Repeat(`{}`, 1<<20/objectWeight+1):   chain.ErrTooLarge,
	} {
		for _, size := range []int{1, 7, len(text)} {
			s := shaper{most: 1 << 20}
			s.begin()
			var err error
			for rest := []byte(text); len(rest) > 0 && err == nil; rest = rest[min(size, len(rest)):] {
				err = s.add(rest[:min(size, len(rest))])
			}
			require.ErrorIs(t, err, want, "%.40s", text)
		}
	}
}
