package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/sluicepay/sluice/chain/catalog"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
)

const (
	defaultHorizon  = 256
	defaultMaxRange = 500
	defaultMaxLag   = 10 * time.Minute

	defaultCoinDecimals = 18
)

// chainPlan is a chain as it is to be.
type chainPlan struct {
	chain  store.Chain
	native store.NewAsset
	// assets are those that are configured already, disabled ones too.
	assets []store.AssetInfo
	// network is the catalogue's, if it knows this chain id.
	network *catalog.Network
	fresh   bool // the chain is new
}

// plan takes each setting from the flags, else from what is set, else from the catalogue, else from the defaults.
func (e chainEnable) plan(ctx context.Context, db *store.DB) (chainPlan, error) {
	plan := chainPlan{native: store.NewAsset{ID: payment.NativeAsset(e.Name), Decimals: defaultCoinDecimals}}
	settings, err := db.GetChain(ctx, e.Name)
	switch {
	case payment.CodeOf(err) == payment.CodeUnknownChain:
		plan.fresh = true
		settings = store.Chain{
			Name: e.Name, DisplayName: e.Name, Horizon: defaultHorizon, MaxRange: defaultMaxRange, MaxLag: defaultMaxLag,
		}
		if network, ok := e.proposed(); ok {
			if err := propose(&settings, &plan.native, network); err != nil {
				return plan, err
			}
		}
	case err != nil:
		return plan, err
	}
	if plan.assets, err = db.ListAssets(ctx, e.Name); err != nil {
		return plan, err
	}
	keepNative(&plan.native, plan.assets)
	if err := e.override(&settings, &plan.native); err != nil {
		return plan, err
	}
	if settings.ChainID == 0 || plan.native.Code == "" || settings.BlockTime == 0 || settings.Policy.Confirmations == 0 {
		return plan, &exitError{code: 2, message: e.Name + " is not in the catalogue (see: sluice chain catalog): " +
			"give --chain-id, --native-symbol, --block-time and --confirmations"}
	}
	if settings.Mode, err = e.mode(settings); err != nil {
		return plan, err
	}
	if network, ok := catalog.ByChainID(settings.Family, settings.ChainID); ok {
		plan.network = &network
	}
	plan.native.TiersPending = plan.fresh && plan.network != nil
	plan.chain = settings
	return plan, nil
}

// mode is what is known of everybody's network of this number, else what is set or asked for. It is never changed: the database refuses it.
func (e chainEnable) mode(settings store.Chain) (payment.Mode, error) {
	asked, known := payment.Mode(e.Mode), catalog.Mode(settings.Family, settings.ChainID)
	switch {
	case asked != "" && known != "" && asked != known:
		return "", &exitError{code: 2, message: fmt.Sprintf("--mode: chain id %d is of %s mode", settings.ChainID, known)}
	case asked != "":
		return asked, nil
	case settings.Mode != "":
		return settings.Mode, nil
	case known != "":
		return known, nil
	case catalog.Development(settings.Family, settings.ChainID):
		return payment.ModeTest, nil
	default:
		return "", &exitError{code: 2, message: "give --mode: whether money on " + e.Name + " is play money (test) or money (live); that is for ever"}
	}
}

// proposed is what the catalogue knows of a new chain: by its number where that is given, else by its name.
func (e chainEnable) proposed() (catalog.Network, bool) {
	if e.ChainID != nil {
		return catalog.ByChainID(payment.Family(e.Family), *e.ChainID)
	}
	return catalog.Find(e.Name)
}

func propose(settings *store.Chain, native *store.NewAsset, n catalog.Network) (err error) {
	settings.ChainID, settings.DisplayName, settings.BlockTime, settings.Policy = n.ChainID, n.DisplayName, n.BlockTime, n.Policy
	settings.Horizon, settings.MaxRange, settings.MaxLag = n.Horizon, n.MaxRange, n.MaxLag
	settings.IgnoreBloom = n.WrongBlooms
	native.Code, native.Decimals = n.Coin, n.CoinDecimals
	if native.DustBelow, err = payment.ParseDecimal(n.CoinDust, n.CoinDecimals); err != nil {
		return fmt.Errorf("the catalogue's dust of %s: %w", n.Coin, err)
	}
	return nil
}

func (e chainEnable) override(settings *store.Chain, native *store.NewAsset) error {
	settings.Family, settings.Enabled = payment.Family(e.Family), true
	override(&settings.ChainID, e.ChainID)
	override(&settings.BlockTime, e.BlockTime)
	override(&settings.Policy.Confirmations, e.Confirmations)
	override(&settings.DisplayName, e.DisplayName)
	override(&settings.Horizon, e.Horizon)
	override(&settings.MaxRange, e.MaxRange)
	override(&settings.MaxLag, e.MaxLag)
	if e.FinalityTag != nil {
		settings.Policy.Tag = payment.Tag(*e.FinalityTag)
	}
	override(&native.Code, e.NativeSymbol)
	override(&native.Decimals, e.NativeDecimals)
	return overrideAmount("--dust-below", &native.DustBelow, e.DustBelow, native.Decimals)
}

// keepNative takes over what is set for the native coin.
func keepNative(native *store.NewAsset, assets []store.AssetInfo) {
	for _, known := range assets {
		if known.ID == native.ID {
			native.Code, native.Decimals = known.Symbol, known.Decimals
			native.DustBelow, native.Tolerance = known.DustBelow, known.Tolerance
		}
	}
}

func override[T any](setting, given *T) {
	if given != nil {
		*setting = *given
	}
}

func overrideAmount(flag string, setting *payment.Amount, given *string, decimals uint8) error {
	if given == nil {
		return nil
	}
	amount, err := payment.ParseDecimal(*given, decimals)
	if err != nil {
		return fmt.Errorf("%s: %w", flag, err)
	}
	*setting = amount
	return nil
}

// policyWords is a confirmation policy in words.
func policyWords(p payment.ConfirmationPolicy) string {
	text := fmt.Sprintf("%d confirmations", p.Confirmations)
	if p.Confirmations == 1 {
		text = "1 confirmation"
	}
	if p.Tag != payment.TagNone {
		text += " and " + string(p.Tag)
	}
	return text
}

// operatorsText is who runs the nodes, in words.
func operatorsText(operators []string) string {
	seen := map[string]bool{}
	var names []string
	for _, name := range operators {
		if !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	if len(names) == 1 {
		return "one operator (" + names[0] + ")"
	}
	return fmt.Sprintf("%d operators (%s)", len(names), strings.Join(names, ", "))
}
