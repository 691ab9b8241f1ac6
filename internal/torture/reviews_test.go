package torture_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/internal/torture/model"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store/storetest"
)

// decided is something that a person asked for, which may be asked for again.
type decided struct {
	about   model.Subject
	request string
}

// decide has a person decide about some reviews: sensibly, or not; again, or for the first time.
func (h *history) decide() {
	for range h.draw("decisions", 1, 3) {
		about, in, ok := h.decision()
		if !ok {
			return
		}
		want := h.model.Clone()
		outcome := want.Resolve(about, string(in.Move), in.RequestID)
		s := h.sabotage(12)
		view, err := h.DB.ResolveReview(s.in(h.ctx), in)
		if s.commits > 0 {
			h.model = want
		}
		if code := payment.CodeOf(err); err == nil || code == payment.CodeOrderState || code == payment.CodeChainHalted {
			require.Equal(h.rt, outcome, standing(view, err), "%s of %v", in.Move, about)
			h.tally.add("decided "+string(in.Move), 1)
		}
		if s.commits > 0 { // whoever does not know asks again
			view, err = h.DB.ResolveReview(h.ctx, in)
			h.must(err)
			require.Equal(h.rt, outcome, standing(view, err), "%s of %v once more", in.Move, about)
		}
	}
}

// standing is what became of a decision, as the model says it.
func standing(view process.ReviewView, err error) string {
	if err != nil {
		return string(payment.CodeOf(err))
	}
	return model.Standing(view.Status, view.Held, view.Settled)
}

// decision draws what a person asks for.
func (h *history) decision() (model.Subject, process.ResolveReviewInput, bool) {
	subjects := slices.SortedFunc(maps.Keys(h.model.Reviews()), func(a, b model.Subject) int {
		return strings.Compare(fmt.Sprint(a), fmt.Sprint(b))
	})
	if len(subjects) == 0 {
		return model.Subject{}, process.ResolveReviewInput{}, false
	}
	about := subjects[h.draw("review", 0, len(subjects)-1)]
	h.serial++
	request := fmt.Sprintf("%s/%d", h.merchant, h.serial)
	if len(h.decided) > 0 && h.often("asked before", 20) {
		again := h.decided[h.draw("request", 0, len(h.decided)-1)]
		about, request = again.about, again.request
		h.tally.add("decided again", 1)
	}
	h.decided = append(h.decided, decided{about, request})
	moves := []process.Move{process.MoveRelease, process.MoveRelease, process.MoveHold, process.MoveClose, process.MoveClose, process.MoveRetry}
	return about, process.ResolveReviewInput{
		Review: h.review(about), Move: moves[h.draw("decision", 0, len(moves)-1)], By: storetest.By(), RequestID: request,
	}, true
}

func (h *history) review(s model.Subject) process.ReviewInput {
	return process.ReviewInput{PaymentID: h.idOf(s.Payment), Inclusion: s.Inclusion, Cause: process.ReviewCause(s.Cause)}
}

// deciding is a person who decides while other things happen.
func (h *history) deciding(about model.Subject, in process.ResolveReviewInput) rival {
	var view process.ReviewView
	var err error
	return rival{
		name: "decide",
		do:   func() { view, err = h.DB.ResolveReview(h.ctx, in) },
		came: func() step {
			said := standing(view, err)
			return func(m *model.Model) error {
				if outcome := m.Resolve(about, string(in.Move), in.RequestID); outcome != said {
					return fmt.Errorf("to %s would be %s and was %s", in.Move, outcome, said)
				}
				return nil
			}
		},
	}
}

// reviewed begins the review of a payment that nobody else takes, as its process does: it reads what it is about.
func (h *history) reviewed(id payment.PaymentID, inclusion int, cause process.ReviewCause) {
	_, err := h.DB.ReadReview(h.ctx, process.ReviewInput{PaymentID: id, Inclusion: inclusion, Cause: cause})
	h.must(err)
	key, _ := h.keyOf(id)
	h.model.OpenReview(model.Subject{Payment: key, Inclusion: inclusion, Cause: string(cause)})
}

// stuck has somebody look at what is not confirmed after a long time.
func (h *history) stuck() {
	n := h.node()
	opened, err := h.DB.OpenStuck(h.ctx, n.name, time.Now().Add(10*365*24*time.Hour), 1000)
	h.must(err)
	require.Len(h.rt, opened, h.model.Stuck(n.name))
}

// unpark has everything confirmed whose review was closed.
func (h *history) unpark() {
	for about, r := range h.model.Reviews() {
		p := h.model.Payments()[about.Payment]
		if p.Status != "parked" || r.Open || about.Inclusion != len(p.Inclusions) {
			continue
		}
		h.serial++
		in := process.ResolveReviewInput{
			Review: h.review(about), Move: process.MoveRetry, By: storetest.By(), RequestID: fmt.Sprintf("%s/%d", h.merchant, h.serial),
		}
		view, err := h.DB.ResolveReview(h.ctx, in)
		require.Equal(h.rt, h.model.Resolve(about, "retry", in.RequestID), standing(view, err))
	}
	for key, p := range h.model.Payments() {
		require.NotEqual(h.rt, "parked", p.Status, "%s has no review that was closed", key)
	}
}

// OpenReview implements activities.SettleStore.
func (s *settler) OpenReview(ctx context.Context, in process.ReviewInput) error {
	if err := s.DB.OpenReview(ctx, in); err != nil {
		return err
	}
	s.h.model.OpenReview(model.Subject{Payment: s.key, Inclusion: in.Inclusion, Cause: string(in.Cause)})
	return nil
}

const factsOfReviews = `SELECT payment_id, inclusion, cause, status, COALESCE(resolution, '') FROM reviews WHERE merchant_id = $1`

func predictedOfReviews(m *model.Model) []string {
	var lines []string
	for about, r := range m.Reviews() {
		status := "open"
		if !r.Open {
			status = "resolved"
		}
		lines = append(lines, reviewLine(about, status, r.Decision))
	}
	return lines
}

func reviewLine(about model.Subject, status, decision string) string {
	return fmt.Sprintf("review %s/%d/%s: %s %s", about.Payment, about.Inclusion, about.Cause, status, decision)
}

// askOfReviews asks for the reviews in the database; keys names payments by their ids.
func (h *history) askOfReviews(batch *pgx.Batch, lines *[]string, keys map[string]string) {
	h.ask(batch, factsOfReviews, func(row pgx.Rows) error {
		var id, cause, status, decision string
		var inclusion int
		err := row.Scan(&id, &inclusion, &cause, &status, &decision)
		*lines = append(*lines, reviewLine(model.Subject{Payment: keys[id], Inclusion: inclusion, Cause: cause}, status, decision))
		return err
	})
}

func (h *history) countReviews() {
	for about, r := range h.model.Reviews() {
		h.tally.add("review "+about.Cause, 1)
		if !r.Open {
			h.tally.add("review resolved with "+r.Decision, 1)
		}
	}
}
