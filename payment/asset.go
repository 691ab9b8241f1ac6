package payment

import "strings"

// nativeName stands for the native coin in an asset id.
const nativeName = "native"

// AssetID is what an asset is: a chain and a contract on it, or the chain's
// native coin. Never a symbol: anyone can deploy a token called USDC.
type AssetID struct {
	Chain    string  // the chain's name, such as "dev"
	Contract Address // the zero Address for the native coin
}

// NativeAsset names the native coin of a chain.
func NativeAsset(chain string) AssetID { return AssetID{Chain: chain} }

// TokenAsset names a token by its contract.
func TokenAsset(chain string, contract Address) AssetID {
	return AssetID{Chain: chain, Contract: contract}
}

// IsNative tells whether this is the chain's native coin.
func (id AssetID) IsNative() bool { return id.Contract.Raw == "" }

// String prints "dev/native" or "dev/0x…" in lower-case hex: the one spelling.
func (id AssetID) String() string {
	if id.IsNative() {
		return id.Chain + "/" + nativeName
	}
	return id.Chain + "/" + id.Contract.Lower()
}

// ParseAssetID reads what String prints; the contract may also be written with
// its checksum. It returns CodeUnknownAsset, because a misspelt asset is one
// that nobody has.
func ParseAssetID(family Family, s string) (AssetID, error) {
	chain, name, ok := strings.Cut(s, "/")
	if !ok || !ValidChainName(chain) {
		return AssetID{}, E(CodeUnknownAsset, "", "asset must be <chain>/native or <chain>/<contract>")
	}
	if name == nativeName {
		return NativeAsset(chain), nil
	}
	contract, err := ParseAddress(family, name)
	if err != nil {
		return AssetID{}, Wrap(err, CodeUnknownAsset, "", "asset must be <chain>/native or <chain>/<contract>")
	}
	return TokenAsset(chain, contract), nil
}

// MarshalText is String.
func (id AssetID) MarshalText() ([]byte, error) {
	if id == (AssetID{}) {
		return nil, nil
	}
	return []byte(id.String()), nil
}

// UnmarshalText reads what MarshalText prints. The families' spellings do not
// overlap, so the first family that can read it is the right one.
func (id *AssetID) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*id = AssetID{}
		return nil
	}
	var lastErr error
	for _, family := range Families() {
		parsed, err := ParseAssetID(family, string(text))
		if err == nil {
			*id = parsed
			return nil
		}
		lastErr = err
	}
	return lastErr
}

// maxChainName keeps chain names usable in task queue names and metrics.
const maxChainName = 32

// ValidChainName tells whether s is 1 to 32 lower-case letters, digits and
// hyphens, beginning with a letter.
func ValidChainName(s string) bool {
	if s == "" || len(s) > maxChainName || s[0] < 'a' || s[0] > 'z' {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// Asset is an asset as configured: its identity, and how people write it.
type Asset struct {
	ID       AssetID
	Symbol   string // for people only; two assets may share it
	Decimals uint8  // pinned when the asset is enabled
}

// Parse reads a decimal string of whole units. It returns CodeInvalidAmount.
func (a Asset) Parse(s string) (Amount, error) { return ParseDecimal(s, a.Decimals) }

// Format prints an amount in whole units, exactly.
func (a Asset) Format(amount Amount) string { return amount.Decimal(a.Decimals) }
