package payment

// PaymentStatus says where one payment stands.
type PaymentStatus string

// The statuses of a payment.
const (
	// StatusDetected: seen on the canonical chain, not confirmed.
	StatusDetected PaymentStatus = "detected"
	// StatusCredited: confirmed and posted, and not reversed.
	StatusCredited PaymentStatus = "credited"
	// StatusDropped: its last inclusion left the canonical chain. It may come back.
	StatusDropped PaymentStatus = "dropped"
	// StatusIgnored: recorded and never to be posted, such as a token nobody configured.
	StatusIgnored PaymentStatus = "ignored"
	// StatusParked: it cannot go on until a person decides.
	StatusParked PaymentStatus = "parked"
)

// Mode separates a merchant's trials from its business: keys, orders, balances
// and callbacks of the two never mix.
type Mode string

// The modes.
const (
	ModeTest Mode = "test"
	ModeLive Mode = "live"
)

// ParseMode returns CodeInvalidParameter for a word that is no mode.
func ParseMode(s string) (Mode, error) {
	switch m := Mode(s); m {
	case ModeTest, ModeLive:
		return m, nil
	default:
		return "", E(CodeInvalidParameter, "", "mode must be test or live")
	}
}
