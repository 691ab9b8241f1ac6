package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

// hostile is what a stranger may write: an escape sequence, bidirectional marks, a line end, and letters of other scripts.
const hostile = "pay \x1b[31mred\x07\u202e\u2066now\nGRANT\u200b \"订单\" שלום\u0085\x7f"

func TestForeignTextDoesNothingToATerminal(t *testing.T) {
	t.Parallel()
	require.Equal(t, `"pay [31mrednowGRANT \"订单\" \u05e9\u05dc\u05d5\u05dd"`, foreign(hostile))
	require.Empty(t, foreign(""))
	require.Equal(t, `"ab"`, foreign("a\xffb"))
	var out bytes.Buffer
	require.NoError(t, printJSON(&out, map[string]string{"text": hostile + "😀"}))
	for _, c := range strings.TrimSuffix(out.String(), "\n") {
		require.True(t, c >= ' ' && c < unicode.MaxASCII, "%U", c)
	}
	var back map[string]string
	require.NoError(t, json.Unmarshal(out.Bytes(), &back))
	require.Equal(t, hostile+"😀", back["text"], "the value is what it was")
}

// supported is a merchant's data, and the commands that show it.
func supported(t *testing.T) (*bench, *storetest.Bundle) {
	t.Helper()
	b := setup(t)
	data := storetest.New(t)
	t.Setenv("SLUICE_DATABASE_URL", data.PG.AppURL)
	b.pg = data.PG
	return b, data
}

func TestOrdersAreListedAndShown(t *testing.T) {
	b, data := supported(t)
	first := data.Order(t, func(n *store.NewOrder) { n.Reference = "cart 1 \u202e"; n.Metadata = map[string]string{"k": "a\tb"} })
	p := data.Pay(t, first, 25_000_000)
	require.Equal(t, store.CreditDone, data.Credit(t, p).Outcome)
	opening := data.Opening(t)
	second := data.Order(t)
	require.NoError(t, data.DB.ParkOrder(t.Context(), process.ParkInput{OrderID: second.ID, Step: process.StepConfirm, Reason: "mismatch", RequestID: "r"}))

	list := b.run("", "order", "list")
	require.Zero(t, list.code, list.err)
	for _, id := range []payment.OrderID{first.ID, second.ID, opening} {
		require.Contains(t, list.out, string(id))
	}
	require.Contains(t, list.out, `"cart 1 "`)
	only := func(want payment.OrderID, args ...string) {
		t.Helper()
		r := b.run("", append([]string{"order", "list", "--json"}, args...)...)
		require.Zero(t, r.code, r.err)
		var page struct {
			Items []struct{ Order struct{ ID payment.OrderID } }
		}
		require.NoError(t, json.Unmarshal([]byte(r.out), &page), r.out)
		require.Len(t, page.Items, 1, r.out)
		require.Equal(t, want, page.Items[0].Order.ID)
	}
	only(second.ID, "--blocked")
	only(first.ID, "--state", "paid")
	only(opening, "--state", "opening")
	only(first.ID, "--address", first.Address)
	only(first.ID, "--merchant", string(data.Merchant), "--mode", "test", "--reference", "cart 1 \u202e")
	require.Contains(t, b.run("", "order", "list", "--mode", "live").out, "none")
	require.Equal(t, 1, b.run("", "order", "list", "--limit", "101").code)
	require.Equal(t, 1, b.run("", "order", "list", "--cursor", "x").code)

	page := b.run("", "order", "list", "--limit", "1")
	require.Contains(t, page.out, string(second.ID))
	_, cursor, found := strings.Cut(page.out, "--cursor ")
	require.True(t, found)
	require.Contains(t, b.run("", "order", "list", "--limit", "1", "--cursor", strings.TrimSpace(cursor)).out, string(opening))

	show := b.run("", "order", "show", string(first.ID))
	require.Zero(t, show.code, show.err)
	for _, part := range []string{"paid", "DO NOT USE IT", "payments", string(p.ID), "postings", "custody", "merchant:available", `"k": "ab"`} {
		require.Contains(t, show.out, part)
	}
	require.Contains(t, b.run("", "order", "show", string(second.ID)).out, "order.park")
	require.Contains(t, b.run("", "order", "show", string(opening)).out, "none yet")
	var file map[string]any
	require.NoError(t, json.Unmarshal([]byte(b.run("", "order", "show", string(first.ID), "--json").out), &file))
	require.Len(t, file["payments"], 1)
	require.Equal(t, 1, b.run("", "order", "show", string(payment.NewOrderID())).code)

	for _, args := range [][]string{{"--order", string(first.ID)}, {"--tx", p.TxHash.String()}, {"--status", "credited"}, {"--payment", string(p.ID)}, {"--address", first.Address}} {
		r := b.run("", append([]string{"payment", "list"}, args...)...)
		require.Contains(t, r.out, string(p.ID), "%v %s", args, r.err)
	}
	require.Contains(t, b.run("", "payment", "list", "--status", "parked").out, "none")
}

func TestReviewsAndTheAuditAreListed(t *testing.T) {
	b, data := supported(t)
	p := data.Pay(t, data.Order(t), 1_000_000)
	in := process.ReviewInput{PaymentID: p.ID, Inclusion: 1, Cause: process.CauseStuck}
	require.NoError(t, data.DB.OpenReview(t.Context(), in))
	r := b.run("", "review", "list")
	require.Contains(t, r.out, process.ReviewWorkflowID(in), r.err)
	require.Contains(t, b.run("", "review", "list", "--cause", "late").out, "none")
	_, err := data.DB.ResolveReview(t.Context(), process.ResolveReviewInput{
		Review: in, Move: process.MoveClose, By: process.By{Actor: "kim\x1b[2J", Reason: hostile}, RequestID: "r",
	})
	require.NoError(t, err)
	require.Contains(t, b.run("", "review", "list").out, "none")
	require.Contains(t, b.run("", "review", "list", "--status", "all", "--payment", string(p.ID)).out, `"kim[2J"`)
	audit := b.run("", "audit", "list", "--action", "review.close")
	require.Contains(t, audit.out, `"kim[2J"`, audit.err)
	require.NotContains(t, audit.out, "\x1b")
	first := b.run("", "audit", "list", "--limit", "1")
	_, cursor, found := strings.Cut(first.out, "--cursor ")
	require.True(t, found, first.out)
	require.NotContains(t, b.run("", "audit", "list", "--limit", "1", "--cursor", strings.TrimSpace(cursor)).out, "review.close")
	require.Contains(t, b.run("", "audit", "list", "--subject", "dev", "--actor", "tester").out, "chain.enable")
	require.Equal(t, 1, b.run("", "audit", "list", "--cursor", "x").code)
}

func TestRepliesOfReceiversAreShownAsTheyAre(t *testing.T) {
	b, data := supported(t)
	endpoint := data.AddEndpoint(t, "https://shop.example/hook")
	order := data.Order(t)
	acquired, err := data.DB.AcquireDelivery(t.Context(), process.OrderStream(order.ID), endpoint, "w", time.Minute)
	require.NoError(t, err)
	_, err = data.DB.RecordAttempt(t.Context(), *acquired.Delivery, store.Attempt{
		Reply: store.ReplyRefused, Outcome: "retry", Status: 500, Latency: 12 * time.Millisecond, Excerpt: hostile, StartedAt: time.Now(),
	}, store.Next{Park: store.ParkExhausted})
	require.NoError(t, err)

	list := b.run("", "callback", "list")
	require.Contains(t, list.out, "parked: exhausted after 1", list.err)
	require.Contains(t, b.run("", "callback", "list", "--status", "pending").out, "none")
	show := b.run("", "callback", "show", string(acquired.Delivery.CallbackID))
	require.Zero(t, show.code, show.err)
	require.Contains(t, show.out, foreign(hostile))
	require.NotContains(t, show.out, "\x1b")
	for _, args := range [][]string{{"order", "show", string(order.ID)}, {"callback", "list", "--about", string(order.ID), "--endpoint", string(endpoint)}} {
		require.Contains(t, b.run("", args...).out, string(acquired.Delivery.CallbackID))
	}
	var file struct{ Deliveries []struct{ Reply string } }
	require.NoError(t, json.Unmarshal([]byte(b.run("", "callback", "show", string(acquired.Delivery.CallbackID), "--json").out), &file))
	require.Equal(t, hostile, file.Deliveries[0].Reply)
}
