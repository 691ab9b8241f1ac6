package webhook_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/webhook"
)

// A receiver verifies with the official library, and the sender reaches it on
// loopback only because its host and port are on the list.
func Example() {
	secret := webhook.NewSecret() // shown to the merchant once, sealed in the database

	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		verify, _ := standardwebhooks.NewWebhook(secret.Reveal())
		body, _ := io.ReadAll(r.Body)
		if err := verify.Verify(body, r.Header); err != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fmt.Println("receiver:", r.Header.Get("webhook-id"), string(body))
	}))
	defer receiver.Close()

	targets, err := webhook.NewTargets([]string{strings.TrimPrefix(receiver.URL, "http://")})
	if err != nil {
		panic(err)
	}
	sender := webhook.NewSender(webhook.Config{})
	defer sender.Close()

	result, err := sender.Send(context.Background(), webhook.Message{
		ID:      "evt_example",
		URL:     receiver.URL + "/hooks",
		Body:    []byte(`{"type":"order.paid"}`),
		Secrets: []webhook.Secret{secret},
		Targets: targets,
	})
	if err != nil {
		panic(err)
	}
	fmt.Println("sender:", result.Outcome, result.Status)
	// Output:
	// receiver: evt_example {"type":"order.paid"}
	// sender: delivered 200
}

// Callback URLs are checked when an order is created; what a name leads to is
// checked again whenever it is dialled.
func ExampleValidateURL() {
	for _, url := range []string{
		"https://shop.example.com/hooks",
		"https://user:password@shop.example.com/hooks",
		"http://169.254.169.254/latest/meta-data",
		"http://2130706433/",
	} {
		fmt.Printf("%q\n", payment.CodeOf(webhook.ValidateURL(url)))
	}
	// Output:
	// ""
	// "invalid_callback_url"
	// "callback_target_forbidden"
	// "callback_target_forbidden"
}

// The wait before each attempt follows from the number of attempts on record.
func ExampleSchedule_Next() {
	schedule, err := webhook.ParseSchedule("0s,5s,5m")
	if err != nil {
		panic(err)
	}
	for recorded := range 4 {
		delay, exhausted := schedule.Next("cbk_example", recorded, 0)
		fmt.Println(recorded, delay, exhausted)
	}
	// Output:
	// 0 0s false
	// 1 5.424319857s false
	// 2 4m37.294576211s false
	// 3 0s true
}
