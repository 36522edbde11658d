// Package fakeprovider is a double of OpenAI's and Anthropic's APIs on a real
// listener. It answers `ownkey dev` when there is no credential, and tests and
// conformance, for which it can also do what a healthy provider does not:
// stall, cut, trickle, lie. How it behaves is asked for in the model's name,
// which survives a gateway: "fake:chunks=100,gap=10ms" (see behaviour.go).
// Words it does not know are ignored, so a test can put a mark of its own into
// the name and find its requests by it.
//
// It speaks through net/http, and not through fasthttp as the gateway does, so
// that a mistake in one codec can not hide in the other. It imports nothing of
// ours, keeps no state outside memory, and is no model: answers are constants.
//
// Goroutines: net/http's own, all ended by Close.
package fakeprovider
