package store_test

import (
	"crypto/rand"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store/storetest"
)

func cancel(id payment.OrderID) process.CancelInput {
	return process.CancelInput{OrderID: id, By: storetest.By(), RequestID: rand.Text()}
}
