package api

//go:generate go tool -modfile=../tools/go.mod oapi-codegen -config oapi-codegen.yaml openapi.yaml

import "github.com/sluicepay/sluice/payment"

// OrderDocument is an order in an answer. It embeds the snapshot, so that the
// snapshot's MarshalJSON stays with it: the generated response types are defined from
// this one, and a type defined from another keeps what is promoted from embedded
// fields but loses the other's own methods.
type OrderDocument struct{ payment.OrderSnapshot }

// PaymentDocument is a payment in an answer.
type PaymentDocument struct{ payment.PaymentSnapshot }

// DepositDocument is a deposit in an answer.
type DepositDocument struct{ payment.DepositRecord }
