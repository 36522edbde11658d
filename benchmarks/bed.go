package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"github.com/ownkey/ownkey/benchmarks/load"
	"github.com/ownkey/ownkey/internal/clickhouseserver"
	"github.com/ownkey/ownkey/internal/vaultserver"
	"github.com/ownkey/ownkey/vaultbridge"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"
)

// bed is what contenders stand on: a directory, both ends of the load, and the
// servers that the gateway keeps its keys and records in.
type bed struct {
	dir    string
	peers  string // where other gateways are built
	ends   *load.Ends
	vault  *vaultserver.Server
	engine *clickhouseserver.Server
}

// makeBed pins this process, since it is the load and the provider, and builds
// the gateway.
func makeBed(peers string) (b *bed, err error) {
	b = &bed{peers: peers}
	if b.dir, err = os.MkdirTemp("", "ownkey-bench"); err != nil {
		return nil, err
	}
	if err = os.Chmod(b.dir, 0o711); err != nil {
		return nil, err
	}
	if out, err := exec.Command("go", "build", "-trimpath", "-o", b.binary(), "./cmd/ownkey").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("cannot build the gateway (run from the project's root): %s", out)
	}
	if err := pin(); err != nil {
		return nil, err
	}
	runtime.LockOSThread() // the load's thread goes first, so it must stay there
	b.ends, err = load.New()
	return b, err
}

// pin keeps this process, and what it starts without a core of its own, off the
// contenders' core.
func pin() error {
	if runtime.NumCPU() < 2 {
		return errors.New("two cores are needed at least: one for the contender, one for the load")
	}
	var set unix.CPUSet
	set.Set(otherCore)
	err := eachThread(func(tid int) error { return unix.SchedSetaffinity(tid, &set) })
	if err != nil {
		return fmt.Errorf("cannot stay on one core: %w", err)
	}
	return nil
}

// first lets this process, on its core, go before Vault and ClickHouse: else
// the load stands while they work, and every call of that time looks slow. What
// it starts is not before others, nor are threads that the runtime makes later,
// so it is asked for before each run. Its threads take turns among themselves
// (SCHED_RR): one that waits in the kernel for another must not keep it from
// running. It reports whether that is allowed here (CAP_SYS_NICE).
func first() bool {
	realtime := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_RR, Priority: 1, Flags: unix.SCHED_FLAG_RESET_ON_FORK}
	return eachThread(func(tid int) error { return unix.SchedSetAttr(tid, &realtime, 0) }) == nil
}

// eachThread does something to the threads that this process has by now.
func eachThread(f func(tid int) error) error {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, t := range tasks {
		var tid int
		if _, err := fmt.Sscan(t.Name(), &tid); err != nil {
			return err
		}
		if err := f(tid); err != nil && !errors.Is(err, unix.ESRCH) { // it has ended meanwhile
			return err
		}
	}
	return nil
}

func (b *bed) binary() string { return filepath.Join(b.dir, "bin", "ownkey") }

// close stops the servers; the contenders are stopped by then.
func (b *bed) close() {
	if b.vault != nil {
		_ = b.vault.Stop()
	}
	if b.engine != nil {
		_ = b.engine.Stop()
	}
	_ = os.RemoveAll(b.dir)
}

// startVault starts a real Vault, once, set up as `ownkey vault policy` says.
func (b *bed) startVault(ctx context.Context) error {
	if b.vault != nil {
		return nil
	}
	binary, err := vaultserver.Binary()
	if err != nil {
		return err
	}
	dir := filepath.Join(b.dir, "vault")
	if b.vault, err = vaultserver.Start(ctx, vaultserver.Options{Binary: binary, Dir: dir}); err != nil {
		return err
	}
	_, err = b.vault.Run(ctx, dir, vaultbridge.SetupScript("transit", "unused"))
	return err
}

// transit is the keyring on that Vault, with the identity that seals.
func (b *bed) transit(ctx context.Context) (vaultbridge.Keyring, error) {
	login := func(identity string) vaultbridge.Login {
		file := filepath.Join(b.dir, "vault", "ownkey-"+identity)
		return vaultbridge.Login{Method: vaultbridge.MethodAppRole, RoleIDFile: file + ".role-id", SecretIDFile: file + ".secret-id"}
	}
	const timeout = 5 * time.Second
	return vaultbridge.NewTransit(ctx, vaultbridge.TransitOptions{
		Name: "vault", Address: b.vault.URL, Mount: "transit", Timeout: timeout, Data: login("data"), Admin: login("admin"),
		Journal: func(vaultbridge.Unsealing) {}, Notify: func(vaultbridge.Event) {}, Metrics: prometheus.NewRegistry(),
	})
}

// startEngine starts a real ClickHouse engine, once.
func (b *bed) startEngine(ctx context.Context) (err error) {
	if b.engine == nil {
		b.engine, err = clickhouseserver.Start(ctx, clickhouseserver.Options{Dir: filepath.Join(b.dir, "clickhouse")})
	}
	return err
}

// servers are the processes behind the gateway.
func (b *bed) servers() (pids []int) {
	if b.vault != nil {
		pids = append(pids, b.vault.PID())
	}
	if b.engine != nil {
		pids = append(pids, b.engine.PID())
	}
	return pids
}

func freePort() (netip.AddrPort, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return netip.AddrPort{}, err
	}
	defer l.Close()
	return netip.ParseAddrPort(l.Addr().String())
}

// await waits for a listener; the provider answers meanwhile.
func (b *bed) await(addr netip.AddrPort, p *process) error {
	for end := time.Now().Add(startPatience); time.Now().Before(end); {
		if c, err := net.Dial("tcp", addr.String()); err == nil {
			return c.Close()
		}
		const look = 50 * time.Millisecond
		if err := b.ends.Serve(look); err != nil {
			return err
		}
		select {
		case <-p.ended:
			return fmt.Errorf("it ended: %s", p.lastWords())
		default:
		}
	}
	return fmt.Errorf("it does not listen on %s: %s", addr, p.lastWords())
}
