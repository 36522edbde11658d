package upstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"testing"
)

// TestDialFailures: what the system says, and whose fault it is.
func TestDialFailures(t *testing.T) {
	call := func(name string, err error) error {
		return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError(name, err)}
	}
	for _, x := range []struct {
		err   error
		kind  error
		cause Cause
	}{
		{call("socket", syscall.EMFILE), ErrExhausted, CauseOwnDescriptors},
		{call("socket", syscall.ENFILE), ErrExhausted, CauseOwnDescriptors},
		{call("connect", syscall.ENOBUFS), ErrExhausted, CauseOwnDescriptors},
		{&net.DNSError{Err: "dial udp 192.0.2.1:53: socket: too many open files", Name: "api.example.com"}, ErrExhausted, CauseOwnDescriptors},
		{&net.DNSError{Err: "no such host", Name: "api.example.com", IsNotFound: true}, ErrUnreachable, CauseDNS},
		{&net.DNSError{Err: "i/o timeout", Name: "api.example.com", IsTimeout: true}, ErrUnreachable, CauseDNS},
		{call("connect", syscall.ECONNREFUSED), ErrUnreachable, CauseRefused},
		{call("connect", syscall.ECONNRESET), ErrUnreachable, CauseReset},
		{call("connect", syscall.ENETUNREACH), ErrUnreachable, CauseUnroutable},
		{call("connect", syscall.EHOSTUNREACH), ErrUnreachable, CauseUnroutable},
		{call("connect", syscall.ETIMEDOUT), ErrUnreachable, CauseTimeout},
		{fmt.Errorf("dial: %w", ErrForbidden), ErrForbidden, CauseEgressDenied},
		{errors.New("anything"), ErrUnreachable, CauseOther},
	} {
		err := dialFailure(context.Background(), x.err)
		if !errors.Is(err, x.kind) || CauseOf(err) != x.cause {
			t.Errorf("%v: %v", x.err, err)
		}
	}
	canceled, stop := context.WithCancel(context.Background())
	stop()
	if err := dialFailure(canceled, call("connect", syscall.ECONNREFUSED)); !errors.Is(err, ErrCanceled) {
		t.Errorf("a canceled dial: %v", err)
	}
	if len(CauseNames) != int(CauseProxyAuth)+1 {
		t.Errorf("%d names of causes", len(CauseNames))
	}
}
