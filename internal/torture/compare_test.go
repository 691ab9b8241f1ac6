package torture_test

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/internal/torture/model"
	"github.com/sluicepay/sluice/payment"
)

// check compares what is in the database with what the model says.
func (h *history) check() {
	require.Equal(h.rt, strings.Join(h.predicted(h.model), "\n"), strings.Join(h.recorded(), "\n"))
}

// predicted is what should be there, a line for each fact.
func (h *history) predicted(m *model.Model) []string {
	var lines []string
	for id, o := range m.Orders() {
		lines = append(lines, fmt.Sprintf("order %s: %s %v", id, o.State, o.LabelsOf()))
		for i, e := range o.Events {
			lines = append(lines, fmt.Sprintf("order %s event %02d: %s %s", id, i+1, e.Type, e.Payment))
		}
	}
	for key, p := range m.Payments() {
		in := p.Inclusions[len(p.Inclusions)-1]
		lines = append(lines, fmt.Sprintf("payment %s: %s for %s, inclusion %d in block %d %s, canonical %t: %s of %s to %s, credited %d to %s",
			key, p.Status, p.Order, len(p.Inclusions), in.Number, in.Block, in.Canonical, in.Amount, asset(in.Asset.Chain, in.Asset.Token),
			in.To, p.Credited, p.Account))
	}
	for account, balance := range m.Balances() {
		if balance.Sign() != 0 {
			lines = append(lines, fmt.Sprintf("balance %s: %s", account, balance))
		}
	}
	lines = append(lines, predictedOfCustomers(m)...)
	lines = append(lines, predictedOfReviews(m)...)
	slices.Sort(lines)
	return lines
}

func asset(chain, token string) string { return chain + " " + token }

const (
	factsOfOrders   = `SELECT id, state, labels FROM orders WHERE merchant_id = $1`
	factsOfEvents   = `SELECT COALESCE(e.order_id, ''), e.seq, e.type, COALESCE(e.payment_id, '') FROM events e WHERE e.merchant_id = $1`
	factsOfPayments = `SELECT p.id, p.chain, '0x' || encode(p.tx_hash, 'hex'), p.native, p.position, p.status, COALESCE(p.order_id, ''), p.inclusion,
		i.block_number, '0x' || encode(i.block_hash, 'hex'), i.canonical, i.amount::text, COALESCE('0x' || encode(a.contract, 'hex'), ''),
		'0x' || encode(i.recipient, 'hex'), COALESCE(p.credited_inclusion, 0), COALESCE(replace(acc.kind, 'merchant:', ''), '')
		FROM payments p
		JOIN inclusions i ON i.payment_id = p.id AND i.n = p.inclusion
		JOIN assets a ON a.id = i.asset_id
		LEFT JOIN ledger_postings po ON po.payment_id = p.id AND po.inclusion = p.credited_inclusion AND po.kind = 'credit'
		LEFT JOIN ledger_accounts acc ON acc.id = po.credit_account
		WHERE p.merchant_id = $1`
	factsOfBalances = `SELECT acc.kind, a.chain, COALESCE('0x' || encode(a.contract, 'hex'), ''), COALESCE('0x' || encode(adr.bytes, 'hex'), ''), sum(m.amount)::text
		FROM payments p
		JOIN ledger_postings po ON po.payment_id = p.id
		CROSS JOIN LATERAL (VALUES (po.credit_account, po.amount), (po.debit_account, -po.amount)) m (account, amount)
		JOIN ledger_accounts acc ON acc.id = m.account
		JOIN assets a ON a.id = acc.asset_id
		LEFT JOIN addresses adr ON adr.id = acc.address_id
		WHERE p.merchant_id = $1
		GROUP BY acc.id, a.id, adr.id HAVING sum(m.amount) <> 0`
)

// recorded is what is there.
func (h *history) recorded() []string {
	var lines []string
	batch := &pgx.Batch{}
	h.ask(batch, factsOfOrders, func(row pgx.Rows) error {
		var id, state string
		var labels []string
		err := row.Scan(&id, &state, &labels)
		slices.Sort(labels)
		lines = append(lines, fmt.Sprintf("order %s: %s %v", id, state, labels))
		return err
	})
	keys := map[string]string{"": ""}
	h.ask(batch, factsOfPayments, func(row pgx.Rows) error {
		var id, chain, tx, status, order, block, amount, contract, to, account string
		var native, canonical bool
		var position, inclusion, number, credited int
		err := row.Scan(&id, &chain, &tx, &native, &position, &status, &order, &inclusion, &number, &block, &canonical, &amount, &contract,
			&to, &credited, &account)
		key := name(chain, tx, native, position)
		keys[id], h.ids[key] = key, payment.PaymentID(id)
		lines = append(lines, fmt.Sprintf("payment %s: %s for %s, inclusion %d in block %d %s, canonical %t: %s of %s to %s, credited %d to %s",
			key, status, order, inclusion, number, block, canonical, amount, asset(chain, contract), to, credited, account))
		return err
	})
	h.ask(batch, factsOfEvents, func(row pgx.Rows) error {
		var order, kind, about string
		var seq int
		err := row.Scan(&order, &seq, &kind, &about)
		if order == "" {
			lines = append(lines, fmt.Sprintf("payment %s event %02d: %s", keys[about], seq, kind))
			return err
		}
		lines = append(lines, fmt.Sprintf("order %s event %02d: %s %s", order, seq, kind, keys[about]))
		return err
	})
	h.ask(batch, factsOfBalances, func(row pgx.Rows) error {
		var kind, chain, contract, address, balance string
		err := row.Scan(&kind, &chain, &contract, &address, &balance)
		kind = strings.TrimPrefix(kind, "merchant:")
		if address != "" {
			kind += " of " + address
		}
		lines = append(lines, fmt.Sprintf("balance %s %s: %s", kind, asset(chain, contract), balance))
		return err
	})
	h.askOfCustomers(batch, &lines)
	h.askOfReviews(batch, &lines, keys)
	h.must(h.PG.Owner.SendBatch(h.ctx, batch).Close())
	slices.Sort(lines)
	return lines
}

func (h *history) ask(batch *pgx.Batch, sql string, read func(pgx.Rows) error) {
	batch.Queue(sql, h.merchant).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			if err := read(rows); err != nil {
				return err
			}
		}
		return rows.Err()
	})
}
