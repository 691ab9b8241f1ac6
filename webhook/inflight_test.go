package webhook_test

import (
	"context"
	"net"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/internal/await"
	"github.com/sluicepay/sluice/webhook"
)

// However many ports and names an address has, one account has so many requests in flight to it, and another account has its own.
func TestRequestsToOneAddressAreLimited(t *testing.T) {
	t.Parallel()
	const most = 8
	reached := make(chan struct{})
	var list []string
	for range most + 1 {
		list = append(list, newRawReceiver(t, func(_ net.Conn, done <-chan struct{}) {
			reached <- struct{}{}
			<-done
		}))
	}
	well := newReceiver(t, func(http.ResponseWriter, *http.Request) {})
	granted := targets(t, append(list, well.host())...)
	sender := newSender(t, webhook.Config{Timeout: await.Broken})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	attempt := func(account, host string) (webhook.Result, error) {
		return sender.Send(ctx, webhook.Message{
			ID: "evt_1", Account: account, URL: "http://" + host + "/", Body: []byte(testBody), Secrets: []webhook.Secret{webhook.NewSecret()}, Targets: granted,
		})
	}
	ended := make(chan error, most)
	for i := range most {
		go func() {
			_, err := attempt("one", list[i])
			ended <- err
		}()
		await.Receive(t, reached, "for a request to hang")
	}
	_, err := attempt("one", list[most])
	require.ErrorIs(t, err, webhook.ErrBusy)
	_, err = attempt("one", well.host())
	require.ErrorIs(t, err, webhook.ErrBusy, "the port is another one, the address is not")
	result, err := attempt("two", well.host())
	require.NoError(t, err)
	require.Equal(t, webhook.OutcomeDelivered, result.Outcome)

	cancel()
	for range most {
		require.ErrorIs(t, await.Receive(t, ended, "for an attempt to end"), webhook.ErrInterrupted)
	}
	ctx = t.Context()
	result, err = attempt("one", well.host())
	require.NoError(t, err)
	require.Equal(t, webhook.OutcomeDelivered, result.Outcome, "what has ended counts no more")
}
