// Package hostile is a tenant that does everything it can to the others: it
// owns its provider, its tokens and its memories, and uses all three against
// the gateway. Tests assert, and benchmarks/hostile measures, what a second
// tenant sees meanwhile.
//
// The invariant, which docs/threat-model.md states for the reader: whatever one
// tenant's clients, provider, tokens, names and memories do, another tenant's
// calls succeed, its records reach their store within five seconds, its budget
// and its invoice are exact, readiness says what is so, and a restart works.
//
// Everything stays on the loopback interface, is bounded in connections, and
// ends with its context.
package hostile
