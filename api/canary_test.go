package api_test

// canaryURL is a callback URL with a secret in it.
const canaryURL = "https://shop.example.com/hook?token=canary-callback"
