package main

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"
)

// TestConnectionsFitTheDescriptors: no configuration lets clients take the
// descriptors that their providers, databases and operators need.
func TestConnectionsFitTheDescriptors(t *testing.T) {
	for descriptors, want := range map[uint64]int64{0: -64, 128: 0, 130: 1, 1024: 448, 65536: 32704, math.MaxUint64: 1<<39 - 64} {
		if got := connectionsFor(descriptors); got != want {
			t.Errorf("%d descriptors: %d connections, want %d", descriptors, got, want)
		}
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	fitting := connectionsFor(limit.Cur)
	for most, want := range map[int64]int64{1: 1, fitting: fitting, fitting + 1: fitting, 1 << 50: fitting} {
		var out bytes.Buffer
		log := zerolog.New(&out)
		got, err := fitConnections(most, &log)
		if err != nil || int64(got) != want {
			t.Errorf("%d of %d: %d %v", most, fitting, got, err)
		}
		if told := strings.Contains(out.String(), "max_connections is lowered"); told != (want < most) {
			t.Errorf("%d of %d: log %q", most, fitting, out.String())
		}
	}
}
