package store

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sluicepay/sluice/internal/seal"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store/internal/dbtype"
	"github.com/sluicepay/sluice/store/internal/sqlc"
)

// Chain is a network as configured.
type Chain struct {
	Name    string
	Family  payment.Family
	ChainID uint64
	// Mode is the chain's for ever; test when empty.
	Mode        payment.Mode
	Genesis     payment.Hash // zero when it was not pinned
	DisplayName string
	BlockTime   time.Duration
	Policy      payment.ConfirmationPolicy
	// Horizon is how many blocks deep a reorganisation is undone by itself.
	Horizon    uint64
	StartBlock uint64 // the first block that is watched
	MaxRange   uint64 // blocks in one request
	MaxLag     time.Duration
	Enabled    bool
	Paused     bool
	// IgnoreBloom: the bloom filters of its blocks are wrong, and not looked at.
	IgnoreBloom bool
	// HaltedReason is set when nothing is credited on this chain.
	HaltedReason string
}

// RPCEndpoint is a node to ask.
type RPCEndpoint struct {
	ID       int64 // given by the database
	Operator string
	// URL and WSURL are sealed for SealRPCURL and SealRPCWSURL with SealRow as the row. WSURL may be nil.
	URL         seal.Sealed
	WSURL       *seal.Sealed
	Fingerprint [32]byte // SHA-256 of the URL
	Weight      int      // 100 when zero
}

// SealRow is the row that an endpoint's URLs are sealed for: known before the database numbers it.
func (e RPCEndpoint) SealRow(chain string) string {
	return chain + "/" + hex.EncodeToString(e.Fingerprint[:])
}

const defaultWeight = 100

// NewAsset is an asset to be enabled. Decimals are pinned from then on.
type NewAsset struct {
	ID        payment.AssetID
	Code      string // the operator's name for it, unique within the chain
	Decimals  uint8
	DustBelow payment.Amount // less than this is dust
	Tolerance payment.Amount // this much less than due still fulfils
	CodeHash  *payment.Hash  // of a token's contract
	// TiersPending says of a new asset that its tiers for large amounts are still to be set; see CompleteTiers.
	TiersPending bool
}

// EnableChain adds a network with its nodes and its native coin, or changes its settings. StartBlock is only taken the
// first time. With a second operator credits need two that agree, see Demand. Doing it again changes nothing. Error: CodeInvalidParameter when the name or chain id stands for another chain or is of
// the other mode, or a coin's decimals differ from those pinned.
func (db *DB) EnableChain(ctx context.Context, c Chain, native NewAsset, endpoints []RPCEndpoint, by process.By) error {
	params := sqlc.UpsertChainParams{
		Name: c.Name, Family: string(c.Family), ChainID: int64(c.ChainID), DisplayName: c.DisplayName,
		BlockTimeMs: int32(c.BlockTime.Milliseconds()), Confirmations: int32(c.Policy.Confirmations),
		FinalityTag: optional(string(c.Policy.Tag)), Horizon: int32(c.Horizon), StartBlock: int64(c.StartBlock),
		MaxRange: int32(c.MaxRange), MaxLagSeconds: int32(c.MaxLag / time.Second),
		Mode: string(orDefault(c.Mode, payment.ModeTest)), IgnoreBloom: c.IgnoreBloom,
	}
	if !c.Genesis.IsZero() {
		params.GenesisHash = c.Genesis[:]
	}
	return db.tx(ctx, func(ctx context.Context, t txn) error {
		n, err := t.q.UpsertChain(ctx, params)
		if err != nil {
			return refused(err, "chain")
		}
		if n == 0 {
			return payment.E(payment.CodeInvalidParameter, "chain", "chain %s is configured with another chain id, genesis or mode", c.Name)
		}
		if err := t.q.InsertCursor(ctx, c.Name); err != nil {
			return fmt.Errorf("add cursor: %w", err)
		}
		for _, e := range endpoints {
			if err := t.saveRPCEndpoint(ctx, c.Name, e); err != nil {
				return err
			}
		}
		if err := t.saveAsset(ctx, native); err != nil {
			return err
		}
		if err := t.raiseDemand(ctx, c.Name, by); err != nil {
			return err
		}
		_, err = t.audit(ctx, deed{
			By: by, Action: "chain.enable", Subject: c.Name,
			Detail: map[string]any{"chain_id": c.ChainID, "mode": params.Mode, "confirmations": c.Policy.Confirmations, "endpoints": len(endpoints)},
		})
		return err
	})
}

func (t txn) saveRPCEndpoint(ctx context.Context, chain string, e RPCEndpoint) error {
	params := sqlc.UpsertRPCEndpointParams{
		Chain: chain, Operator: e.Operator, Url: e.URL.Bytes, UrlKey: e.URL.KeyID, UrlFingerprint: e.Fingerprint[:],
		Weight: int32(orDefault(e.Weight, defaultWeight)),
	}
	if e.WSURL != nil {
		params.WsUrl, params.WsUrlKey = e.WSURL.Bytes, &e.WSURL.KeyID
	}
	if err := t.q.UpsertRPCEndpoint(ctx, params); err != nil {
		return refused(err, "endpoint")
	}
	return nil
}

func (t txn) saveAsset(ctx context.Context, a NewAsset) error {
	params := sqlc.UpsertAssetParams{
		ID: a.ID.String(), Chain: a.ID.Chain, Code: a.Code, Decimals: int16(a.Decimals),
		DustBelow: dbtype.Of(a.DustBelow), Tolerance: dbtype.Of(a.Tolerance), TiersPending: a.TiersPending,
	}
	if !a.ID.IsNative() {
		params.Contract = a.ID.Contract.Bytes()
	}
	if a.CodeHash != nil {
		params.CodeHash = a.CodeHash[:]
	}
	n, err := t.q.UpsertAsset(ctx, params)
	if err != nil {
		return refused(err, "asset")
	}
	if n == 0 {
		return payment.E(payment.CodeInvalidParameter, "decimals", "the decimals of %s were pinned when it was enabled and differ", a.Code)
	}
	return nil
}

// AddToken enables a token, or changes its settings. The chain's recorder sees that its earlier blocks were not read for
// it, and has them read. Doing it again changes nothing. Errors: CodeUnknownChain; CodeInvalidParameter when the decimals differ
// from those pinned or the code names another asset of the chain.
func (db *DB) AddToken(ctx context.Context, a NewAsset, by process.By) error {
	if a.ID.IsNative() {
		return payment.E(payment.CodeInvalidParameter, "contract", "a token has a contract")
	}
	return db.tx(ctx, func(ctx context.Context, t txn) error {
		if _, err := t.q.GetChain(ctx, a.ID.Chain); errors.Is(err, pgx.ErrNoRows) {
			return payment.E(payment.CodeUnknownChain, "chain", "no such chain")
		} else if err != nil {
			return fmt.Errorf("read chain: %w", err)
		}
		if err := t.saveAsset(ctx, a); err != nil {
			return err
		}
		_, err := t.audit(ctx, deed{
			By: by, Action: "token.add", Subject: a.ID.String(), Detail: map[string]any{"code": a.Code, "decimals": a.Decimals},
		})
		return err
	})
}

// ListChains lists every chain by name, disabled ones too.
func (db *DB) ListChains(ctx context.Context) ([]Chain, error) {
	rows, err := db.q.ListChains(ctx)
	if err != nil {
		return nil, classify(err)
	}
	chains := make([]Chain, len(rows))
	for i, row := range rows {
		chains[i] = chainOf(row)
	}
	return chains, nil
}

// GetChain reads one chain. Error: CodeUnknownChain.
func (db *DB) GetChain(ctx context.Context, name string) (Chain, error) {
	row, err := db.q.GetChain(ctx, name)
	if errors.Is(err, pgx.ErrNoRows) {
		return Chain{}, payment.E(payment.CodeUnknownChain, "chain", "no such chain")
	}
	if err != nil {
		return Chain{}, classify(err)
	}
	return chainOf(row), nil
}

// KnownBlocks are a few blocks of a chain that were recorded, those first that its nodes are likeliest to have; none of a
// chain of which nothing is recorded. Only number and hash are set.
func (db *DB) KnownBlocks(ctx context.Context, chain string) ([]payment.BlockRef, error) {
	rows, err := db.q.KnownBlocks(ctx, chain)
	if err != nil {
		return nil, classify(err)
	}
	blocks := make([]payment.BlockRef, len(rows))
	for i, row := range rows {
		blocks[i] = payment.BlockRef{Number: uint64(row.Number), Hash: payment.Hash(row.Hash)}
	}
	return blocks, nil
}

func chainOf(row sqlc.Chain) Chain {
	c := Chain{
		Name: row.Name, Family: payment.Family(row.Family), ChainID: uint64(row.ChainID), Mode: payment.Mode(row.Mode), DisplayName: row.DisplayName,
		BlockTime: milliseconds(row.BlockTimeMs), Policy: policyOf(row.Confirmations, row.FinalityTag),
		Horizon: uint64(row.Horizon), StartBlock: uint64(row.StartBlock), MaxRange: uint64(row.MaxRange),
		MaxLag: time.Duration(row.MaxLagSeconds) * time.Second, Enabled: row.Enabled, Paused: row.PausedAt != nil,
		HaltedReason: deref(row.HaltedReason), IgnoreBloom: row.IgnoreBloom,
	}
	copy(c.Genesis[:], row.GenesisHash)
	return c
}

func policyOf(confirmations int32, tag *string) payment.ConfirmationPolicy {
	return payment.ConfirmationPolicy{Confirmations: uint64(confirmations), Tag: payment.Tag(deref(tag))}
}

// ListRPCEndpoints lists the enabled nodes of a chain.
func (db *DB) ListRPCEndpoints(ctx context.Context, chain string) ([]RPCEndpoint, error) {
	rows, err := db.q.ListRPCEndpoints(ctx, chain)
	if err != nil {
		return nil, classify(err)
	}
	endpoints := make([]RPCEndpoint, len(rows))
	for i, row := range rows {
		endpoints[i] = RPCEndpoint{
			ID: row.ID, Operator: row.Operator, URL: seal.Sealed{KeyID: row.UrlKey, Bytes: row.Url},
			Fingerprint: [32]byte(row.UrlFingerprint), Weight: int(row.Weight),
		}
		if row.WsUrl != nil {
			endpoints[i].WSURL = &seal.Sealed{KeyID: deref(row.WsUrlKey), Bytes: row.WsUrl}
		}
	}
	return endpoints, nil
}

// OldestAddress is when the first address of a family was made; the zero time if there is none. It reads all of them.
func (db *DB) OldestAddress(ctx context.Context, family payment.Family) (time.Time, error) {
	made, err := db.q.OldestAddress(ctx, string(family))
	if errors.Is(err, pgx.ErrNoRows) {
		return time.Time{}, nil
	}
	return made, classify(err)
}

// AssetInfo is an asset as configured, with what else an order needs to know.
type AssetInfo struct {
	payment.Asset
	DustBelow    payment.Amount
	Tolerance    payment.Amount
	CodeHash     *payment.Hash
	Enabled      bool
	HaltedReason string
	TiersPending bool // see CompleteTiers
}

// ListAssets lists the assets of a chain, disabled ones too.
func (db *DB) ListAssets(ctx context.Context, chain string) ([]AssetInfo, error) {
	rows, err := db.q.ListAssets(ctx, chain)
	if err != nil {
		return nil, classify(err)
	}
	assets := make([]AssetInfo, len(rows))
	for i, row := range rows {
		asset, err := assetOf(row.Chain, row.Family, row.Contract, row.Code, row.Decimals)
		if err != nil {
			return nil, fmt.Errorf("asset %s: %w", row.ID, err)
		}
		assets[i] = AssetInfo{
			Asset: asset, DustBelow: row.DustBelow.Amount, Tolerance: row.Tolerance.Amount, Enabled: row.Enabled,
			HaltedReason: deref(row.HaltedReason), TiersPending: row.TiersPending,
		}
		if row.CodeHash != nil {
			hash := payment.Hash(row.CodeHash)
			assets[i].CodeHash = &hash
		}
	}
	return assets, nil
}
