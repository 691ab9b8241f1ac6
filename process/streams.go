package process

import (
	"strings"

	"github.com/sluicepay/sluice/payment"
)

// Stream names what is told one event after the other: what happened to an order, or to a payment that is for none. It is
// the order's id or the payment's.
type Stream string

// OrderStream is the stream of an order's events.
func OrderStream(id payment.OrderID) Stream { return Stream(id) }

// PaymentStream is the stream of the events of a payment that is for no order.
func PaymentStream(id payment.PaymentID) Stream { return Stream(id) }

// streamOf is the stream of whichever of the two is set.
func streamOf(order payment.OrderID, paid payment.PaymentID) Stream {
	if order != "" {
		return OrderStream(order)
	}
	return PaymentStream(paid)
}

// prefixPayment is how payments' ids begin.
const prefixPayment = "pay_"

// OrderID is the order that the stream is about, "" if it is about a payment.
func (s Stream) OrderID() payment.OrderID {
	if s.PaymentID() != "" {
		return ""
	}
	return payment.OrderID(s)
}

// PaymentID is the payment that the stream is about, "" if it is about an order.
func (s Stream) PaymentID() payment.PaymentID {
	if strings.HasPrefix(string(s), prefixPayment) {
		return payment.PaymentID(s)
	}
	return ""
}

// Stream is whose callbacks are to be sent.
func (in DeliverInput) Stream() Stream { return streamOf(in.OrderID, in.PaymentID) }

// Stream is whose callbacks the workflow takes care of.
func (in CallbackInput) Stream() Stream { return streamOf(in.OrderID, in.PaymentID) }

// Stream is whose callbacks are to be sent again.
func (in RedeliverInput) Stream() Stream { return streamOf(in.OrderID, in.PaymentID) }

// Stream is whose parked callbacks are left as they are.
func (in LeaveInput) Stream() Stream { return streamOf(in.OrderID, in.PaymentID) }

// Stream is where the review's own news is told: with its order's, or apart when there is none.
func (v ReviewView) Stream() Stream { return streamOf(v.OrderID, v.PaymentID) }

// CallbacksOf starts the workflow of a stream's callbacks.
func CallbacksOf(s Stream) CallbackInput {
	return CallbackInput{OrderID: s.OrderID(), PaymentID: s.PaymentID()}
}
