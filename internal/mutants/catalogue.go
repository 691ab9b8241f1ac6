package main

import "slices"

// The packages whose tests kill.
const (
	inStore     = "./store"
	inEVM       = "./chain/evm"
	inPool      = "./chain/rpcpool"
	inScan      = "./chain/scan"
	inCrashtest = "./internal/crashtest"
)

// catalogue lists the bugs. Each is as small as it can be and still the real thing.
func catalogue() []mutant {
	return slices.Concat(identities(), crediting(), matching(), allocating(), covering(), timing(), trusting(), separating(), guarding())
}

// guarding: what keeps whoever speaks SQL as a program from the books.
func guarding() []mutant {
	return []mutant{
		{
			name: "functions look where the session says", breaks: "a temporary table stands in front of no table that a function names",
			edits: []edit{{
				file: "migrations/00040_roles.sql",
				old:  "EXECUTE format('ALTER FUNCTION %s SET search_path = pg_catalog, public, pg_temp', f.name);",
				new:  "EXECUTE format('ALTER FUNCTION %s RESET search_path', f.name);",
			}},
			tests: []suite{{inStore, "^TestEveryFunctionHasItsPath$"}},
		},
		{
			name: "temporary tables for everybody", breaks: "nobody but the owner makes objects in the database",
			edits: []edit{{
				file: "migrations/restrict.go",
				old:  "REVOKE CREATE, TEMPORARY ON",
				new:  "REVOKE CREATE ON",
			}},
			tests: []suite{{inStore, "^TestRightsThatNobodyNeeds$"}},
		},
		{
			name: "any role records", breaks: "money is recorded and credited by the chain worker's role alone",
			edits: []edit{{
				file: "migrations/00040_roles.sql",
				old:  "  EXECUTE format('REVOKE INSERT, UPDATE, DELETE ON %s FROM sluice_app', array_to_string(recorded, ', '));\n",
				new:  "",
			}},
			tests: []suite{{inStore, "^TestOnlyTheChainWorkerRecords$"}},
		},
	}
}

// identities: what makes a payment that payment, and an effect that effect.
func identities() []mutant {
	return []mutant{
		{
			name: "identity by block-wide log index", breaks: "a payment keeps its identity when it is mined again",
			edits: []edit{{
				file: "chain/evm/receipts.go",
				old:  "c.Position, c.Resolution = uint32(i), chain.Resolved",
				new:  "c.Position, c.Resolution = uint32(c.LogIndex+0*uint(i)), chain.Resolved",
			}},
			tests: []suite{{inEVM, "^TestConformsOnFake$"}},
		},
		{
			name: "identity by filtered log index", breaks: "enabling a token shifts no payment's identity",
			edits: []edit{
				{
					file: "chain/evm/receipts.go",
					old:  "\tfor i := range r.Logs {\n\t\tif l := &r.Logs[i]; uint64(*l.Index) == uint64(c.LogIndex) {",
					new:  "\ti := -1\n\tfor at := range r.Logs {\n\t\tif r.Logs[at].Address.account == c.Contract {\n\t\t\ti++\n\t\t}\n\t\tif l := &r.Logs[at]; uint64(*l.Index) == uint64(c.LogIndex) {",
				},
			},
			tests: []suite{{inEVM, "^TestConformsOnFake$"}},
		},
		{
			name: "no inclusion in keys", breaks: "credit, reversal and second credit are three effects",
			edits: []edit{{
				file: "payment/observation.go",
				old:  `fmt.Sprintf("%s/%d/%s", r.Payment, r.Inclusion, kind)`,
				new:  `fmt.Sprintf("%s/%s", r.Payment, kind)`,
			}},
			tests: []suite{{inStore, "^TestCreditReversalCredit$"}},
		},
	}
}

// crediting: when money counts.
func crediting() []mutant {
	return []mutant{
		{
			name: "credit without the canonical re-check", breaks: "a credit posts only what the check saw and the chain still holds",
			edits: []edit{{
				file: "store/credit.go",
				old:  "!about.Canonical, payment.Hash(about.BlockHash) != in.BlockHash, about.Amount.Amount != in.Amount:",
				new:  "false:",
			}},
			tests: []suite{{inStore, "^(TestStaleCreditsPostNothing|TestCreditAgainstRollback)$"}},
		},
		{
			name: "tier by single payment", breaks: "one large sum in small pieces is a large sum",
			edits: []edit{{
				file: "store/tiers.go",
				old:  "rows[id].required = rows[id].required.At(stakes[id], tiers[rows[id].AssetID])",
				new:  "rows[id].required = rows[id].required.At(rows[id].Amount.Amount, tiers[rows[id].AssetID])\n\t\t_ = stakes",
			}},
			tests: []suite{{inStore, "^(TestALargeOrderPaidInPiecesDoesNotSlipThrough|TestPaymentsThatSumUpReachAHigherTier)$"}},
		},
		{
			name: "balance finding plus trace", breaks: "what was found by balance is not there twice when its payment is proven",
			edits: []edit{{
				file: "store/credit.go",
				old:  "if err := t.consumeFindings(ctx, about); err != nil {",
				new:  "if err := error(nil); err != nil {",
			}},
			tests: []suite{{inStore, "^TestAFindingIsNobodysUntilItsPaymentIsProven$"}},
		},
	}
}

// matching: whose money it is.
func matching() []mutant {
	return []mutant{
		{
			name: "matching by id > last", breaks: "an address is found in whatever order ids were committed",
			edits: []edit{
				{
					file: "store/internal/sqlc/recorder.sql_gen.go",
					old:  "\trows, err := q.db.Query(ctx, matchRecipients, arg.Chain, arg.Recipients)\n",
					new: `	var database string
	if err := q.db.QueryRow(ctx, "SELECT current_database()").Scan(&database); err != nil {
		return nil, err
	}
	mutantCache.Lock()
	defer mutantCache.Unlock()
	cache := mutantCache.of[database]
	if cache == nil {
		cache = &mutantAddresses{rows: map[string]MatchRecipientsRow{}}
		mutantCache.of[database] = cache
	}
	fresh, err := q.db.Query(ctx, "SELECT a.id, a.family, a.bytes, a.order_id, a.merchant_id, a.mode FROM addresses a WHERE a.id > $1", cache.last)
	if err != nil {
		return nil, err
	}
	for fresh.Next() {
		i := MatchRecipientsRow{OwnMode: true, TakesMoney: true}
		if err := fresh.Scan(&i.ID, &i.Family, &i.Bytes, &i.OrderID, &i.MerchantID, &i.Mode); err != nil {
			return nil, err
		}
		cache.rows[string(i.Bytes)], cache.last = i, max(cache.last, i.ID)
	}
	var found []MatchRecipientsRow
	for _, raw := range arg.Recipients {
		if i, ok := cache.rows[string(raw)]; ok {
			found = append(found, i)
		}
	}
	if fresh.Err() == nil {
		return found, nil
	}
	rows, err := q.db.Query(ctx, matchRecipients, arg.Chain, arg.Recipients)
`,
				},
				{
					file: "store/internal/sqlc/recorder.sql_gen.go",
					old:  "type MatchRecipientsParams struct {",
					new: `type mutantAddresses struct {
	rows map[string]MatchRecipientsRow
	last string
}

var mutantCache = struct {
	sync.Mutex
	of map[string]*mutantAddresses
}{of: map[string]*mutantAddresses{}}

type MatchRecipientsParams struct {`,
				},
				{
					file: "store/internal/sqlc/recorder.sql_gen.go",
					old:  "import (\n",
					new:  "import (\n\t\"sync\"\n",
				},
			},
			tests: []suite{{inStore, "^TestAnAddressThatCommitsLateIsFound$"}, {inCrashtest, "^TestKilledWhileRecordingABlock$"}},
		},
	}
}

// allocating: for which of a customer's orders his money is.
func allocating() []mutant {
	return []mutant{
		{
			name: "the oldest order takes it all", breaks: "a payment is for the order that owes exactly this, before older ones",
			edits: []edit{{
				file: "payment/customer.go",
				old:  "exact, bestExact := c.Owed == amount, best.Owed == amount",
				new:  "exact, bestExact := c.Owed == amount && false, best.Owed == amount && false",
			}},
			tests: []suite{{inStore, "^TestWhichOrderAPaymentIsFor$"}},
		},
		{
			name: "allocated again when mined again", breaks: "a payment keeps its order when it is mined again",
			edits: []edit{{
				file: "store/allocate_payment.go",
				old:  "if kept != nil && p.holds(*kept, a, owed) {",
				new:  "if kept != nil && p.holds(*kept, a, owed) && false {",
			}},
			tests: []suite{{inStore, "^(TestAnAllocationSurvivesAReorganisation|TestAReorganisationTakesNothingFromACancelledOrder)$"}},
		},
		{
			name: "a surplus counts for the order", breaks: "of a customer's payment, only what is allocated counts for the order",
			edits: []edit{{
				file: "store/internal/sqlc/transition.sql_gen.go",
				old:  "SELECT LEAST(po.amount, al.amount) AS amount, p.first_included_at",
				new:  "SELECT po.amount AS amount, p.first_included_at",
			}},
			tests: []suite{{inStore, "^TestAnAllocationSurvivesAReorganisation$"}},
		},
	}
}

// covering: which blocks were read, and what may rest on that.
func covering() []mutant {
	return []mutant{
		{
			name: "coverage from the cursor only", breaks: "no order expires across a block that nobody read for its asset",
			edits: []edit{{
				file: "store/transition.go",
				old:  "return p.Covered && !p.Quarantined",
				new:  "return p.BlockNumber != nil",
			}},
			tests: []suite{{inStore, "^(TestExpiryWaitsForTheChain|TestAQuarantinedBlockIsAHole|TestNativeOrdersNeedNativeCoverage)$"}},
		},
		{
			name: "an outage leaves holes", breaks: "a block is given up on only while its neighbours are answered for",
			edits: []edit{{
				file: "chain/scan/quarantine.go",
				old:  "case !answered:",
				new:  "case !answered && false:",
			}},
			tests: []suite{{inScan, "^(TestEveryErrorClassDecidesAboutQuarantine|TestABlockIsNotGivenUpLightly)$"}},
		},
		{
			name: "no backfill below the cursor", breaks: "a token that is enabled late is looked for from the oldest address on",
			edits: []edit{{
				file: "store/record.go",
				old:  "return t.planBackfill(ctx, s, int64(batch.last().Number))",
				new:  "return nil",
			}},
			tests: []suite{{inStore, "^(TestATokenEnabledWhileABlockIsReadIsReadAgain|TestAHoleThatARescanDidNotCloseIsAskedForAgain)$"}},
		},
		{
			name: "the second look asks by range again", breaks: "of two looks at a block, one is not by range",
			edits: []edit{{
				file: "chain/scan/rescan.go",
				old:  "read = source.BlocksByHash",
				new:  "read = source.Range",
			}},
			tests: []suite{{inScan, "^TestARangeAnswerThatIsShortLosesNothing$"}},
		},
		{
			name: "two short ranges refute", breaks: "nothing is concluded from what ranges do not show",
			edits: []edit{{
				file: "store/refute.go",
				old:  "case !batch.ByHash: // what",
				new:  "case false: // what",
			}},
			tests: []suite{{inStore, "^TestARangeRefutesNothing$"}},
		},
		{
			name: "expiry by wall clock", breaks: "an order expires on the chain's clock as recorded, never on ours",
			edits: []edit{{
				file: "store/transition.go",
				old:  "return p.BlockTime != nil && deadline != nil && p.BlockTime.After(*deadline)",
				new:  "return deadline != nil && p.Now.After(*deadline)",
			}},
			tests: []suite{{inStore, "^TestExpiryWaitsForTheChain$"}},
		},
	}
}

// timing: by whose clock, and who waits for whom.
func timing() []mutant {
	return []mutant{
		{
			name: "block time is one node's word", breaks: "a time that nothing proves is held between that of the block below and our own clock",
			edits: []edit{{
				file: "payment/blocktime.go",
				old:  "if r.TimeBasis.Established() {",
				new:  "if r.TimeBasis.Established() || true {",
			}},
			tests: []suite{{inStore, "^(TestABlockFromTheFutureMakesNobodyLate|TestATimeBeforeItsParentsMakesNobodyOnTime|TestTimesOfBlocksThatAreReadAgain)$"}},
		},
		{
			name: "late by the block alone", breaks: "what was seen before the deadline is on time, whatever is said of its block",
			edits: []edit{{
				file: "payment/blocktime.go",
				old:  "if recorded.Before(believed) {",
				new:  "if recorded.Before(believed) && false {",
			}},
			tests: []suite{{inStore, "^TestMoneySeenBeforeTheDeadlineIsOnTime$"}},
		},
		{
			name: "slots by server alone", breaks: "what one merchant's servers are sent at once is limited for all of them together",
			edits: []edit{{
				file: "store/deliveries.go",
				old:  "for _, at := range []place{a.at.own(), a.at.all()} {",
				new:  "for _, at := range []place{a.at.own()} {",
			}},
			tests: []suite{{inStore, "^TestAMerchantsServersShareItsSlots$"}},
		},
		{
			name: "cursor before payments", breaks: "a block's payments and the cursor are one transaction",
			edits: []edit{
				{
					file: "store/record.go",
					old:  "\tvar recorded Recorded\n\terr := r.db.tx(ctx, func(ctx context.Context, t txn) error {\n\t\tif err := t.believe(ctx, s.Chain, &batch, false); err != nil {\n\t\t\treturn err\n\t\t}\n\t\tturn, err := t.advance(ctx, s, batch)\n\t\tif errors.Is(err, errRecordedAlready) {\n\t\t\trecorded, err = t.recount(ctx, s, batch)\n\t\t\treturn err\n\t\t}\n",
					new:  "\tvar recorded Recorded\n\tvar turn chainTurn\n\tdone := false\n\terr := r.db.tx(ctx, func(ctx context.Context, t txn) (err error) {\n\t\tif err := t.believe(ctx, s.Chain, &batch, false); err != nil {\n\t\t\treturn err\n\t\t}\n\t\tturn, err = t.advance(ctx, s, batch)\n\t\tif errors.Is(err, errRecordedAlready) {\n\t\t\tdone = true\n\t\t\trecorded, err = t.recount(ctx, s, batch)\n\t\t}\n\t\treturn err\n\t})\n\tif err != nil || done {\n\t\treturn recorded, err\n\t}\n\terr = r.db.tx(ctx, func(ctx context.Context, t txn) (err error) {\n",
				},
			},
			tests: []suite{{inCrashtest, "^TestKilledWhileRecordingABlock$"}},
		},
	}
}

// separating: test apart from live, and merchants from each other.
func separating() []mutant {
	return []mutant{
		{
			name: "test money counts at live addresses", breaks: "play money is never posted to or told of in live mode",
			edits: []edit{{
				file: "store/match.go",
				old:  "\t\tif !row.TakesMoney {\n\t\t\tlive[address] = true\n\t\t\tcontinue\n\t\t}\n",
				new:  "",
			}},
			tests: []suite{{inStore, "^TestAPaymentsModeIsItsChains$"}},
		},
		{
			name: "one secret for both modes", breaks: "a test key gets nothing signed that a live receiver believes",
			edits: []edit{{
				file: "store/internal/sqlc/orders.sql_gen.go",
				old:  "CASE $2::mode WHEN 'live' THEN m.callback_secret ELSE m.test_callback_secret END",
				new:  "m.callback_secret",
			}, {
				file: "store/sealed.go", old: "if mode != payment.ModeLive {", new: "if mode == \"\" {",
			}},
			tests: []suite{{inStore, "^TestEachModeHasItsSecret$"}},
		},
	}
}

// trusting: which node is believed.
func trusting() []mutant {
	return []mutant{
		{
			name: "trusted head is the furthest", breaks: "the head is the lowest that healthy operators tell of",
			edits: []edit{{
				file: "chain/rpcpool/head.go",
				old:  "if t.head.Number < lowest.head.Number {",
				new:  "if t.head.Number > lowest.head.Number {",
			}},
			tests: []suite{{inPool, "^TestTheTrustedHeadIsTheLowest$"}},
		},
	}
}
