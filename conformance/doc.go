// Package conformance runs the official SDKs of OpenAI and Anthropic (Python,
// Node, Go) against the built binary and a fake provider, as a customer's
// program would. See README.md.
//
// It holds tests only. They import internal/fakeprovider, which is what they
// ask at the end what really arrived, and nothing else of ours: the gateway is
// known here by its command line, its ready file and its HTTP interface.
package conformance
