package seal_test

// What the first release made of the key, place and text in TestTheFormatIsPinned.
const (
	pinnedMAC    = "a7465a430495afa2a132dafd3445e7ec14b2d6eb73b54a0fc94a8b3015b94e60"
	pinnedSealed = "eee746b0bd8f56a568d1a3c295dc825743fceaec7c4b4b0e9d9a907b1895e2fff7ac5c6e"
)
