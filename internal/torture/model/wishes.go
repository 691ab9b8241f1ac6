package model

// Expire asks for an order to be closed because its deadline passed. It returns what comes of it: "expired", "over" when it was
// or is closed otherwise, "live_payment" while money that came on time is on its way, "not_due" while the chain has not said all.
func (m *Model) Expire(id string) string {
	o := m.orders[id]
	s := m.standing(o, nil)
	switch {
	case !o.open():
		return "over"
	case o.extended: // the new deadline is ahead by every clock
		return "not_due"
	case s.awaited:
		return "live_payment"
	case !m.readPast(o):
		return "not_due"
	case s.fulfils:
		m.fulfil(o, s, why{trigger: "expire"})
		return "over"
	}
	o.State = "expired"
	m.tell(o, why{trigger: "expire"}, "order.expired")
	return "expired"
}

// readPast tells whether the chain was read past the order's deadline, with no hole since it has its address.
func (m *Model) readPast(o *Order) bool {
	c, cursor := m.chains[o.Asset.Chain], m.Cursor(o.Asset.Chain)
	if cursor == nil || c.believed[cursor.ID] <= o.Deadline {
		return false
	}
	birth, from := uint64(1), uint64(1) // the chain's first block
	if o.Birth != nil {
		birth, from = *o.Birth, *o.Birth+1
	}
	for n, how := range c.quarantined {
		lacking := !how.Native
		if o.Asset.Token != "" {
			lacking = len(how.Tokens) == 0
		}
		if lacking && n+c.horizon > birth { // an abandoned block may have been there when the address was given out
			return false
		}
	}
	for n := from; n <= cursor.Number; n++ {
		if !c.covered[o.Asset.Token][n] {
			return false
		}
	}
	return from <= cursor.Number && (cursor.Time > o.Deadline+longestWait || m.readByHash(o, from))
}

// longestWait is for how many seconds of the chain an order waits for what was read in ranges.
const longestWait = 3600

// readByHash tells whether every block of an order's life was read by itself, up to the first one past its deadline, as far as that is
// remembered.
func (m *Model) readByHash(o *Order, from uint64) bool {
	c, cursor := m.chains[o.Asset.Chain], m.Cursor(o.Asset.Chain)
	lowest := max(c.remembered, c.recorded[0].Number)
	past := cursor.Number
	for n := lowest; n <= cursor.Number; n++ {
		if c.recorded[n-c.recorded[0].Number].Time > o.Deadline {
			past = n
			break
		}
	}
	for n := from; n <= past; n++ {
		if !c.byHash[o.Asset.Token][n] {
			return false
		}
	}
	return true
}

// Cancel asks for an order to be given up, and returns "done", or why not.
func (m *Model) Cancel(id string) string {
	o := m.orders[id]
	s := m.standing(o, nil)
	switch {
	case o.State == cancelled:
		return "already_done"
	case o.open() && s.awaited:
		return "payment_live"
	case !o.open(), s.fulfils:
		return "order_state"
	}
	o.State = cancelled
	m.tell(o, why{trigger: "cancel"}, "order.cancelled")
	return "done"
}

// Extend moves an order's deadline.
func (m *Model) Extend(id string, deadline, lateUntil int64, request string) string {
	o := m.orders[id]
	if !o.open() {
		return "order_state"
	}
	o.Deadline, o.LateUntil, o.extended = deadline, lateUntil, true
	s := m.standing(o, nil)
	switch {
	case s.fulfils:
		m.fulfil(o, s, why{trigger: "extend", request: request})
	case !s.partlyLate:
		o.unlabel("late")
	}
	return "done"
}

// MarkPaid fulfils an order by hand.
func (m *Model) MarkPaid(id, request string) string {
	o := m.orders[id]
	if o.State == "paid" {
		if !o.Labels["reversed"] {
			return "order_state"
		}
		o.label("manual")
		o.unlabel("reversed")
		return "done"
	}
	event := "order.paid"
	if !o.open() {
		event = "order.paid_late"
	}
	w := why{trigger: "resolve", request: request}
	o.State = "paid"
	o.label("manual")
	o.unlabel("reversed")
	m.tell(o, w, event)
	m.tooMuch(o, m.standing(o, nil), w)
	return "done"
}
