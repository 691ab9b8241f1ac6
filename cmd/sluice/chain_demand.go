package main

import (
	"context"
	"fmt"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
)

// demandText is what every payment on a chain must rest on, and what that rests on.
func demandText(d store.Demand) string {
	text := fmt.Sprintf("a payment needs %s; nodes of %s", d.Evidence, operatorsText(d.Operators))
	if d.Evidence == payment.EvidenceSingle {
		text = "one operator's word is enough for a payment, up to the limits; nodes of " + operatorsText(d.Operators)
	}
	switch {
	case len(d.Operators) == 0:
		return "no nodes yet"
	case d.DecidedBy != "":
		text += fmt.Sprintf("; so decided by %q", d.DecidedBy)
		if d.Reason != "" {
			text += fmt.Sprintf(" because %q", d.Reason)
		}
	case d.Low():
		text += "; enable the chain again, and they have to agree"
	case len(d.Operators) == 1 && d.Evidence.AtLeast(payment.EvidenceAgreed):
		text += "; nothing counts beyond the limit until there is a second one"
	}
	return text
}

// tellDemand says what payments must rest on now that the chain's nodes are configured. That less is asked for than they could give is
// a warning: whoever added a second operator may expect to be protected by it.
func (e chainEnable) tellDemand(ctx context.Context, c console, a admin) error {
	demands, err := a.db.ListDemands(ctx)
	if err != nil {
		return err
	}
	for _, d := range demands {
		switch {
		case d.Chain != e.Name:
		case d.Low():
			fmt.Fprintf(c.err, "%s: %s\n", e.Name, demandText(d))
		case len(d.Operators) > 1:
			fmt.Fprintln(c.out, "a payment counts when two operators agree about it; \"chain evidence limit\" says how much may count while only one is left")
		default:
			fmt.Fprintf(c.out, "%s\n", demandText(d))
		}
	}
	return nil
}
