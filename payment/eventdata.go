package payment

import (
	"encoding/json"
	"slices"
	"time"
)

// ObjectOrder, ObjectPayment and ObjectDeposit are the values of a snapshot's object field.
const (
	ObjectOrder   = "order"
	ObjectPayment = "payment"
	ObjectDeposit = "deposit"
)

// OrderSnapshot is an order as merchants see it: the API answers with it, and an
// event carries it as it was when the event became true.
type OrderSnapshot struct {
	ID     OrderID `json:"id"`
	Object string  `json:"object"` // ObjectOrder; filled in when encoded
	Mode   Mode    `json:"mode"`
	State  State   `json:"state"` // never StateOpening
	Labels Labels  `json:"labels"`

	Chain   string  `json:"chain"`
	Asset   string  `json:"asset"`    // the operator's code of the asset, unique within the chain
	AssetID AssetID `json:"asset_id"` // what the asset is

	Amount          string `json:"amount"` // decimal
	AmountBaseUnits Amount `json:"amount_base_units"`
	// What is confirmed, unreversed and in the order's asset.
	AmountReceived          string `json:"amount_received"` // decimal
	AmountReceivedBaseUnits Amount `json:"amount_received_base_units"`

	Address string `json:"address"`
	// AddressMode says whose the address is.
	AddressMode           AddressMode `json:"address_mode,omitempty"`
	PaymentURI            string      `json:"payment_uri,omitempty"` // EIP-681
	ConfirmationsRequired int         `json:"confirmations_required"`
	FinalityRequired      Tag         `json:"finality_required,omitempty"` // the tag that must cover the block as well

	ExpiresAt time.Time  `json:"expires_at"`
	CreatedAt time.Time  `json:"created_at"`
	UpdatedAt time.Time  `json:"updated_at"`
	PaidAt    *time.Time `json:"paid_at,omitempty"`

	// CustomerID is the merchant's own name of who pays.
	CustomerID string            `json:"customer_id,omitempty"`
	Reference  string            `json:"reference,omitempty"`
	Metadata   map[string]string `json:"metadata"`
}

// PaymentState is where a payment stands, as merchants are told: a narrower view
// than PaymentStatus, with the progress of its confirmation in it.
type PaymentState string

// The states of a payment.
const (
	// PaymentDetected: seen in a block, not checked yet.
	PaymentDetected PaymentState = "detected"
	// PaymentConfirming: checked, and waiting for its confirmations.
	PaymentConfirming PaymentState = "confirming"
	// PaymentCredited: confirmed and posted to the merchant's balance.
	PaymentCredited PaymentState = "credited"
	// PaymentDropped: its block left the chain and no other has taken it.
	PaymentDropped PaymentState = "dropped"
	// PaymentReversed: it was credited, and the chain took it back.
	PaymentReversed PaymentState = "reversed"
	// PaymentInReview: a person has to decide about it.
	PaymentInReview PaymentState = "review"
	// PaymentIgnored: recorded, and never posted to a merchant.
	PaymentIgnored PaymentState = "ignored"
)

// PaymentStates lists every state of a payment.
func PaymentStates() []PaymentState {
	return []PaymentState{
		PaymentDetected, PaymentConfirming, PaymentCredited, PaymentDropped,
		PaymentReversed, PaymentInReview, PaymentIgnored,
	}
}

// PaymentSnapshot is a payment as merchants see it.
type PaymentSnapshot struct {
	ID     PaymentID    `json:"id"`
	Object string       `json:"object"` // ObjectPayment; filled in when encoded
	State  PaymentState `json:"state"`

	Chain   string  `json:"chain"`
	Asset   string  `json:"asset"`
	AssetID AssetID `json:"asset_id"`

	Amount          string `json:"amount"` // decimal
	AmountBaseUnits Amount `json:"amount_base_units"`
	// What of it counts for the order. Only of a payment to a customer's address; elsewhere all of it does.
	AllocatedAmount          string  `json:"allocated_amount,omitempty"` // decimal
	AllocatedAmountBaseUnits *Amount `json:"allocated_amount_base_units,omitempty"`

	TxHash      Hash   `json:"tx_hash"`
	BlockNumber uint64 `json:"block_number"`
	BlockHash   Hash   `json:"block_hash"`
	From        string `json:"from"`
	To          string `json:"to"`

	Confirmations         int  `json:"confirmations"`
	ConfirmationsRequired int  `json:"confirmations_required"`
	FinalityRequired      Tag  `json:"finality_required,omitempty"` // the tag that must cover the block as well
	Late                  bool `json:"late"`                        // first mined after the order's deadline
	// Evidence is what the credit rests on, once there is one.
	Evidence Evidence `json:"evidence,omitempty"`

	FirstSeenAt time.Time  `json:"first_seen_at"`
	CreditedAt  *time.Time `json:"credited_at,omitempty"`
}

// DepositSnapshot is the part of a payment to a customer's address that is for none
// of his orders, as merchants see it.
type DepositSnapshot struct {
	CustomerID string  `json:"customer_id"`
	Chain      string  `json:"chain"`
	Asset      string  `json:"asset"`
	AssetID    AssetID `json:"asset_id"`

	Amount          string `json:"amount"` // decimal
	AmountBaseUnits Amount `json:"amount_base_units"`
}

// DepositRecord is a deposit as merchants list it: what its event says, as it stands
// now. A payment makes one deposit at most, so the payment's id names it.
type DepositRecord struct {
	ID     PaymentID    `json:"id"`
	Object string       `json:"object"` // ObjectDeposit; filled in when encoded
	State  PaymentState `json:"state"`  // its payment's
	DepositSnapshot
	OrderID   OrderID         `json:"order_id,omitempty"` // took the rest of the payment, if one did
	Payment   PaymentSnapshot `json:"payment"`
	CreatedAt time.Time       `json:"created_at"`
}

// EventData is what an event is about: the order, the payment when one caused it,
// and what of it is a deposit. Only a payment that is for no order has none.
type EventData struct {
	Order   OrderSnapshot    `json:"order,omitzero"`
	Payment *PaymentSnapshot `json:"payment,omitempty"`
	Deposit *DepositSnapshot `json:"deposit,omitempty"`
}

// check refuses an event that lacks what it is about.
func (e Event) check() error {
	aboutPayment := slices.Contains(paymentEvents(), e.Type)
	switch {
	case !slices.Contains(EventTypes(), e.Type):
		return E(CodeInternal, "", "unknown event type")
	case e.Mode == "", e.Data.Order.ID != "" && e.Data.Order.Mode != e.Mode:
		return E(CodeInternal, "", "an event without a mode, or of another than its order's")
	case e.Data.Payment == nil && aboutPayment:
		return E(CodeInternal, "", "an event about a payment carries none")
	case e.Data.Deposit == nil && (e.Data.Order.ID == "" || e.Type == EventDepositCredited):
		return E(CodeInternal, "", "an event is about neither an order nor a deposit")
	default:
		return nil
	}
}

// Event is the body of a callback. Its id is not in it: it travels as the
// webhook-id, which the signature covers.
type Event struct {
	Type EventType `json:"type"`
	// Mode is that of the chain that the event is about: what is of test mode is play money, whoever it is sent to.
	Mode      Mode      `json:"mode"`
	Timestamp time.Time `json:"timestamp"` // when it became true
	Data      EventData `json:"data"`
}

// paymentEvents are the types that are about one payment, and never without it.
func paymentEvents() []EventType {
	return []EventType{EventOrderPaymentDetected, EventPaymentLate, EventPaymentMismatched, EventPaymentReversed, EventDepositCredited}
}

// Encode writes the event as the JSON that is stored, signed and sent. It returns
// CodeInternal for an event of an unknown type, or one that does not carry its mode
// and what it is about.
func (e Event) Encode() ([]byte, error) {
	if err := e.check(); err != nil {
		return nil, err
	}
	e.Timestamp = wireTime(e.Timestamp)
	body, err := json.Marshal(e)
	if err != nil {
		return nil, Wrap(err, CodeInternal, "", "event does not encode")
	}
	return body, nil
}

// MarshalJSON writes the one form that merchants see: the object is named, times are
// in UTC to the microsecond (what the database keeps), lists and maps are never null.
func (o OrderSnapshot) MarshalJSON() ([]byte, error) {
	type wire OrderSnapshot // without this method
	o.Object = ObjectOrder
	if o.Labels == nil {
		o.Labels = Labels{}
	}
	if o.Metadata == nil {
		o.Metadata = map[string]string{}
	}
	o.ExpiresAt, o.CreatedAt, o.UpdatedAt = wireTime(o.ExpiresAt), wireTime(o.CreatedAt), wireTime(o.UpdatedAt)
	o.PaidAt = wireTimeOf(o.PaidAt)
	return json.Marshal(wire(o))
}

// MarshalJSON writes the one form that merchants see; see OrderSnapshot.MarshalJSON.
func (p PaymentSnapshot) MarshalJSON() ([]byte, error) {
	type wire PaymentSnapshot // without this method
	p.Object = ObjectPayment
	p.FirstSeenAt = wireTime(p.FirstSeenAt)
	p.CreditedAt = wireTimeOf(p.CreditedAt)
	return json.Marshal(wire(p))
}

// MarshalJSON writes the one form that merchants see; see OrderSnapshot.MarshalJSON.
func (d DepositRecord) MarshalJSON() ([]byte, error) {
	type wire DepositRecord // without this method
	d.Object = ObjectDeposit
	d.CreatedAt = wireTime(d.CreatedAt)
	return json.Marshal(wire(d))
}

func wireTime(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

func wireTimeOf(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	wire := wireTime(*t)
	return &wire
}
