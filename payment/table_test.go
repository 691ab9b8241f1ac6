package payment

import (
	"reflect"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// everyFacts calls visit with facts of every kind that a condition can tell
// apart: sums below, at and above both thresholds, with and without tolerance,
// in time and late, and all combinations of the rest.
func everyFacts(state State, visit func(OrderFacts)) {
	sums := []uint64{0, 1, 94, 95, 99, 100, 101}
	for _, fulfilDue := range []uint64{0, 95, 100} {
		for i, credited := range sums {
			for _, onTime := range sums[:i+1] {
				eachSituation(func(f OrderFacts) {
					f.State = state
					f.Due, f.FulfilDue = AmountFromUint64(100), AmountFromUint64(fulfilDue)
					f.Credited, f.OnTimeCredited = AmountFromUint64(credited), AmountFromUint64(onTime)
					visit(f)
				})
			}
		}
	}
}

// eachSituation varies what is under way, the clock, the policy and the labels.
func eachSituation(visit func(OrderFacts)) {
	for _, matched := range []Match{MatchOrder, MatchWrongAsset, MatchWrongNetwork, MatchDust} {
		for _, policy := range []LatePolicy{LateFulfil, LateCreditOnly, LateHold} {
			for _, labels := range []Labels{nil, {LabelReversed}} {
				for bits := range 16 {
					live := bits & 1
					visit(OrderFacts{
						Match: matched, LatePolicy: policy, Labels: labels,
						LivePayments:     live,
						Awaited:          live & (bits >> 3),
						ChainTimePassed:  bits&2 != 0,
						CoverageComplete: bits&4 != 0,
					})
				}
			}
		}
	}
}

// grouped returns the rows by state and trigger.
func grouped() map[State]map[Trigger][]Transition {
	groups := map[State]map[Trigger][]Transition{}
	for _, row := range Table() {
		if groups[row.From] == nil {
			groups[row.From] = map[Trigger][]Transition{}
		}
		groups[row.From][row.On] = append(groups[row.From][row.On], row)
	}
	return groups
}

// For every state, trigger and kind of facts, exactly one row holds, so that the
// order of rows cannot matter and no case is forgotten.
func TestExactlyOneRowHolds(t *testing.T) {
	t.Parallel()
	groups := grouped()
	for _, state := range States() {
		t.Run(string(state), func(t *testing.T) {
			t.Parallel()
			everyFacts(state, func(f OrderFacts) {
				for _, on := range Triggers() {
					holding := 0
					for i := range groups[state][on] {
						if groups[state][on][i].Guard.Holds(f) {
							holding++
						}
					}
					if holding != 1 {
						t.Fatalf("%d rows hold for %s and %+v", holding, on, f)
					}
				}
			})
		})
	}
}

// Every row must be able to win, or it is dead text in the table.
func TestEveryRowWinsForSomeFacts(t *testing.T) {
	t.Parallel()
	table := Table()
	won := make([]bool, len(table))
	for _, state := range States() {
		everyFacts(state, func(f OrderFacts) {
			for i := range table {
				won[i] = won[i] || table[i].From == state && table[i].Guard.Holds(f)
			}
		})
	}
	for i, row := range table {
		require.True(t, won[i], "%s, %s, %s never wins", row.From, row.On, row.Guard)
	}
}

func anyFacts() *rapid.Generator[OrderFacts] {
	return rapid.Custom(func(t *rapid.T) OrderFacts {
		due := anyAmount().Draw(t, "due").Max(AmountFromUint64(1))
		credited := rapid.OneOf(anyAmount(), rapid.Just(due)).Draw(t, "credited")
		live := rapid.IntRange(0, 3).Draw(t, "live")
		return OrderFacts{
			State:            rapid.SampledFrom(States()).Draw(t, "state"),
			Labels:           LabelsOf(rapid.SliceOf(rapid.SampledFrom(AllLabels())).Draw(t, "labels")...),
			Due:              due,
			FulfilDue:        rapid.OneOf(anyAmount(), rapid.Just(due)).Draw(t, "fulfil").Min(due),
			Credited:         credited,
			OnTimeCredited:   rapid.OneOf(anyAmount(), rapid.Just(credited)).Draw(t, "on time").Min(credited),
			LivePayments:     live,
			Awaited:          rapid.IntRange(0, live).Draw(t, "awaited"),
			ChainTimePassed:  rapid.Bool().Draw(t, "passed"),
			CoverageComplete: rapid.Bool().Draw(t, "covered"),
			LatePolicy:       rapid.SampledFrom([]LatePolicy{LateFulfil, LateCreditOnly, LateHold}).Draw(t, "policy"),
			Match:            rapid.SampledFrom([]Match{MatchOrder, MatchWrongAsset, MatchWrongNetwork, MatchDust}).Draw(t, "match"),
		}
	})
}

// Whatever the facts, Next answers the same twice, either decides or refuses by
// name, and never touches what it was given.
func TestNextIsDeterministicAndTotal(t *testing.T) {
	t.Parallel()
	refusals := []Code{CodeOrderState, CodePaymentLive, CodeChainLagging, CodeStale}
	rapid.Check(t, func(t *rapid.T) {
		f := anyFacts().Draw(t, "facts")
		on := rapid.SampledFrom(Triggers()).Draw(t, "trigger")
		labels := slices.Clone(f.Labels)

		first, err := Next(f, on)
		second, again := Next(f, on)
		if !reflect.DeepEqual(first, second) || CodeOf(err) != CodeOf(again) || ReasonOf(err) != ReasonOf(again) {
			t.Fatalf("%+v, then %+v", first, second)
		}
		if !slices.Equal(labels, f.Labels) {
			t.Fatal("the facts were changed")
		}
		if first.Reason == "" || first.From != f.State || first.On != on {
			t.Fatalf("nameless outcome %+v", first)
		}
		if err != nil {
			if !slices.Contains(refusals, CodeOf(err)) || ReasonOf(err) != first.Reason || first.Moves() ||
				len(first.Events) != 0 || !slices.Equal(first.Labels, LabelsOf(f.Labels...)) {
				t.Fatalf("%v with %+v", err, first)
			}
			return
		}
		checkDecision(t, f, first)
	})
}

// checkDecision holds a decision against the rules that need no history.
func checkDecision(t *rapid.T, f OrderFacts, d Decision) {
	paidEvents := 0
	for _, event := range d.Events {
		if event == EventOrderPaid || event == EventOrderPaidLate {
			paidEvents++
		}
	}
	enough := !f.Credited.Less(f.FulfilsAt())
	enoughInTime := !f.OnTimeCredited.Less(f.FulfilsAt())
	for rule, broken := range map[string]bool{
		"paid is sticky":                       f.State == StatePaid && d.To != StatePaid,
		"one paid event per fulfilment":        (paidEvents == 1) != d.Fulfils() || paidEvents > 1,
		"nothing fulfils without its money":    d.Fulfils() && d.On != TriggerResolveManual && !enough,
		"late money needs its policy":          d.Fulfils() && d.On != TriggerResolveManual && !enoughInTime && f.LatePolicy != LateFulfil,
		"a cancelled order needs a person":     f.State == StateCancelled && d.Moves() && d.On != TriggerResolveManual,
		"nothing closes over money on time":    (d.To == StateExpired || d.To == StateCancelled) && d.Moves() && f.Awaited > 0,
		"nothing expires before its time":      d.To == StateExpired && d.Moves() && !(f.ChainTimePassed && f.CoverageComplete),
		"nothing expires or ends with its sum": (d.To == StateExpired || d.To == StateCancelled) && d.Moves() && enoughInTime,
		"a surplus is labelled on fulfilment":  d.Fulfils() && f.Due.Less(f.Credited) && !d.Labels.Has(LabelOverpaid),
		"a stranger fulfils nothing":           d.Fulfils() && d.On == TriggerPaymentConfirmed && f.Match != MatchOrder,
		"opening only gets its address":        f.State == StateOpening && d.On != TriggerAddressAllocated,
		"nothing goes back to opening":         d.To == StateOpening,
	} {
		if broken {
			t.Fatalf("%s: %+v gives %+v", rule, f, d)
		}
	}
}

func TestRowsAreWellFormed(t *testing.T) {
	t.Parallel()
	for _, row := range Table() {
		at := string(row.From) + ", " + string(row.On) + ", " + row.Guard.String()
		require.Contains(t, States(), row.From, at)
		require.Contains(t, States(), row.To, at)
		require.Contains(t, Triggers(), row.On, at)
		require.NotEmpty(t, row.Reason, at)
		for _, label := range slices.Concat(row.Add, row.Remove) {
			require.Contains(t, AllLabels(), label, at)
		}
		for _, label := range row.Add {
			require.NotContains(t, row.Remove, label, at)
		}
		for _, event := range row.Events {
			require.Contains(t, EventTypes(), event, at)
		}
		if row.Refuse != "" {
			require.Contains(t, Codes(), row.Refuse, at)
			require.Equal(t, row.From, row.To, at)
			require.Empty(t, slices.Concat(row.Add, row.Remove), at)
			require.Empty(t, row.Events, at)
		}
	}
}

func TestEveryEventAndLabelComesFromTheTable(t *testing.T) {
	t.Parallel()
	events, labels := map[EventType]bool{}, map[Label]bool{}
	for _, row := range Table() {
		for _, event := range row.Events {
			events[event] = true
		}
		for _, label := range row.Add {
			labels[label] = true
		}
	}
	require.Len(t, events, len(EventTypes())-1, "a deposit moves no order")
	require.Len(t, labels, len(AllLabels()))
}

// Nobody who is handed rows or a decision can change the table through them.
func TestTheTableCannotBeChanged(t *testing.T) {
	t.Parallel()
	rows := Table()
	for i := range rows {
		rows[i].To = StatePaid
		clear(rows[i].Guard)
		clear(rows[i].Add)
		clear(rows[i].Remove)
		clear(rows[i].Events)
	}
	expect(t, order(StateAwaitingPayment), TriggerCancel,
		outcome{StateCancelled, nil, []EventType{EventOrderCancelled}, ReasonCancelled})
}

func TestUnknownConditionsNeverHold(t *testing.T) {
	t.Parallel()
	require.False(t, Condition("the moon is full").Holds(order(StatePaid)))
	require.True(t, Guard(nil).Holds(order(StatePaid)))
}

func TestContradictingFactsAreADefect(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*OrderFacts){
		"state":     func(f *OrderFacts) { f.State = "shipped" },
		"no state":  func(f *OrderFacts) { f.State = "" },
		"no due":    func(f *OrderFacts) { f.Due = Amount{} },
		"fulfil":    fulfilledFrom(101),
		"on time":   func(f *OrderFacts) { f.OnTimeCredited = AmountFromUint64(1) },
		"live":      live(-1),
		"no policy": late(""),
		"policy":    late("burn"),
		"match":     match("perhaps"),
	} {
		for _, on := range Triggers() {
			d, err := Next(order(StateAwaitingPayment, spoil), on)
			require.Equal(t, CodeInternal, CodeOf(err), name)
			require.False(t, d.Moves(), name)
			require.Empty(t, ReasonOf(err), name)
		}
	}
	_, err := Next(order(StatePaid), "explode")
	require.Equal(t, CodeInternal, CodeOf(err))
}

func TestLegalTriggers(t *testing.T) {
	t.Parallel()
	require.Equal(t, []Trigger{TriggerAddressAllocated}, LegalTriggers(order(StateOpening)))
	require.Equal(t, []Trigger{TriggerPaymentDropped, TriggerPaymentReversed, TriggerCancel, TriggerExtend, TriggerResolveManual},
		LegalTriggers(order(StateAwaitingPayment)))
	require.NotContains(t, LegalTriggers(order(StateConfirming, live(1), timePassed, allRead)), TriggerExpire)
	require.NotContains(t, LegalTriggers(order(StatePaid, inTime(100))), TriggerResolveManual)
}

func TestShortfallAndSurplus(t *testing.T) {
	t.Parallel()
	require.Equal(t, AmountFromUint64(100), order(StatePaid).Shortfall())
	require.Equal(t, AmountFromUint64(1), order(StatePaid, inTime(99), fulfilledFrom(95)).Shortfall())
	require.True(t, order(StatePaid, inTime(100)).Shortfall().IsZero())
	require.True(t, order(StatePaid, inTime(100)).Surplus().IsZero())
	require.Equal(t, AmountFromUint64(7), order(StatePaid, inTime(107)).Surplus())
	require.True(t, order(StatePaid).Fulfilled())
	require.False(t, order(StateExpired, inTime(100)).Fulfilled())
}

func TestLabelSets(t *testing.T) {
	t.Parallel()
	set := LabelsOf(LabelReversed, LabelLate, LabelReversed)
	require.Equal(t, Labels{LabelLate, LabelReversed}, set)
	require.Equal(t, Labels{LabelLate, LabelManual}, set.Apply([]Label{LabelManual, LabelManual}, []Label{LabelReversed, LabelOverpaid}))
	require.Equal(t, Labels{LabelLate, LabelReversed}, set, "a set is not changed")
	require.Equal(t, Labels{LabelLate}, Labels(nil).Apply([]Label{LabelLate}, []Label{LabelLate}))
	require.False(t, Labels(nil).Has(LabelLate))
	require.Equal(t, []State{StateOpening, StateAwaitingPayment, StateConfirming}, slices.DeleteFunc(States(), func(s State) bool { return !s.Open() }))
}
