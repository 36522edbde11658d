package hostile_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/ownkey/ownkey/internal/hostile"
)

// attackVariable makes this program the attacker.
const attackVariable = "OWNKEY_HOSTILE_ATTACKER"

// attacker is the hostile tenant with its clients and its provider, in a process
// of its own and at low priority: they have other machines, and neither the
// gateway nor the second tenant's client waits behind them for a processor.
type attacker struct {
	url  string // of its provider
	in   io.WriteCloser
	said *json.Decoder
}

// outcome is what the attacker says at its end.
type outcome struct {
	Counts   map[string]map[int]int
	Answered int64 // calls, by its provider
}

func startAttacker(t *testing.T) *attacker {
	t.Helper()
	cmd := exec.Command("nice", "-n", "10", os.Args[0])
	cmd.Env = append(os.Environ(), attackVariable+"=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	lines := bufio.NewReader(out)
	url, err := lines.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return &attacker{url: strings.TrimSpace(url), in: in, said: json.NewDecoder(lines)}
}

// begin lets it attack as a tenant.
func (a *attacker) begin(t *testing.T, as *hostile.Tenant) {
	t.Helper()
	if err := json.NewEncoder(a.in).Encode(as); err != nil {
		t.Fatal(err)
	}
}

// stop ends the attack.
func (a *attacker) stop(t *testing.T) (o outcome) {
	t.Helper()
	_ = a.in.Close()
	if err := a.said.Decode(&o); err != nil {
		t.Fatal(err)
	}
	return o
}

// beAttacker says where its provider listens, reads which tenant it is, and
// attacks until its standard input ends.
func beAttacker() error {
	provider, err := hostile.StartProvider()
	if err != nil {
		return err
	}
	fmt.Println(provider.URL())
	var tenant hostile.Tenant
	in := json.NewDecoder(os.Stdin)
	if err := in.Decode(&tenant); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go func() {
		defer stop()
		_, _ = io.Copy(io.Discard, os.Stdin)
	}()
	return json.NewEncoder(os.Stdout).Encode(outcome{tenant.Run(ctx), provider.Answered()})
}
