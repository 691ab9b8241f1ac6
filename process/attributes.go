package process

import (
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
)

// Search attributes: what support filters by. Set at start, upserted only when they change, because every upsert is an
// event in the history.
var (
	AttrOrderStatus = temporal.NewSearchAttributeKeyKeyword("OrderStatus")
	AttrMerchantID  = temporal.NewSearchAttributeKeyKeyword("MerchantId")
	AttrChain       = temporal.NewSearchAttributeKeyKeyword("Chain")
	AttrAsset       = temporal.NewSearchAttributeKeyKeyword("Asset")
	AttrPayAddress  = temporal.NewSearchAttributeKeyKeyword("PayAddress")
	AttrBlockedStep = temporal.NewSearchAttributeKeyKeyword("BlockedStep")
	AttrExpiresAt   = temporal.NewSearchAttributeKeyTime("ExpiresAt")
)

// SearchAttributeTypes lists every attribute with its type, for whoever registers them.
func SearchAttributeTypes() map[string]enumspb.IndexedValueType {
	return map[string]enumspb.IndexedValueType{
		AttrOrderStatus.GetName(): enumspb.INDEXED_VALUE_TYPE_KEYWORD,
		AttrMerchantID.GetName():  enumspb.INDEXED_VALUE_TYPE_KEYWORD,
		AttrChain.GetName():       enumspb.INDEXED_VALUE_TYPE_KEYWORD,
		AttrAsset.GetName():       enumspb.INDEXED_VALUE_TYPE_KEYWORD,
		AttrPayAddress.GetName():  enumspb.INDEXED_VALUE_TYPE_KEYWORD,
		AttrBlockedStep.GetName(): enumspb.INDEXED_VALUE_TYPE_KEYWORD,
		AttrExpiresAt.GetName():   enumspb.INDEXED_VALUE_TYPE_DATETIME,
	}
}
