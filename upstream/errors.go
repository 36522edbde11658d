package upstream

import "errors"

// What can go wrong with an attempt. Test with errors.Is; the texts name no
// address, header or byte of a body. [CauseOf] says more.
var (
	// ErrUnreachable: no usable connection, or it ended before an answer began.
	ErrUnreachable = errors.New("cannot reach upstream")
	// ErrForbidden: the host leads to an address that must not be dialed.
	ErrForbidden = errors.New("upstream address is not allowed")
	// ErrExhausted: this process or machine has no descriptor or memory left
	// for a connection. It says nothing about the provider.
	ErrExhausted = errors.New("no resources for a connection to upstream")
	// ErrTimeout: a limit passed. [Attempt.Sent] tells whether the provider
	// may have begun to work, and bill.
	ErrTimeout = errors.New("upstream took too long")
	// ErrInvalid: what came back is not HTTP that can be relayed.
	ErrInvalid = errors.New("upstream answer is not valid HTTP")
	// ErrTruncated: the answer ended before the end it had announced.
	ErrTruncated = errors.New("upstream answer was cut short")
	// ErrCanceled: Cancel was called.
	ErrCanceled = errors.New("attempt was canceled")
	// ErrRequestBody: the request's own body could not be read to its end.
	ErrRequestBody = errors.New("cannot read request body")
)

// failure is one of the errors above with its cause. What the network or a
// library said stays inside, for [CauseOf] to read: a foreign text could hold
// anything, so none is passed on.
type failure struct {
	kind  error
	cause Cause
}

func fail(kind error, cause Cause) error { return &failure{kind, cause} }

// Error gives both in fixed words.
func (f *failure) Error() string { return f.kind.Error() + ": " + f.cause.String() }

// Unwrap makes errors.Is find the kind.
func (f *failure) Unwrap() error { return f.kind }
