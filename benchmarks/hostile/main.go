// Command hostile measures what hard times do to those who behave: a flood of
// connections, a tenant far beyond its limit, and half an hour of faults.
//
//	go run ./benchmarks/hostile flood
//	go run ./benchmarks/hostile loud
//	go run ./benchmarks/hostile minute [sqlite|clickhouse [ATTACK]]
//	go run ./benchmarks/hostile soak [minutes] [file.svg]
//
// Everything runs on this machine, on the loopback interface; each run stops by
// itself. Latencies are those of an open loop: a request that had to wait for
// its turn counts from when it was due.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/ownkey/ownkey/internal/hostile"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "hostile:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	all := map[string]func(*bed, []string) error{"flood": flood, "loud": loud, "minute": minute, "soak": soak}
	if len(args) == 1 && args[0] == "load" {
		return loadHere()
	}
	if len(args) == 0 || all[args[0]] == nil {
		return errors.New("want flood, loud, minute or soak")
	}
	fmt.Printf("%s, %d CPUs, %s\n", time.Now().UTC().Format("2006-01-02"), runtime.NumCPU(), runtime.Version())
	if args[0] != "minute" {
		return with(all[args[0]], args[1:])
	}
	if len(args) == 1 {
		return errors.Join(again("minute", "sqlite"), again("minute", "clickhouse"))
	}
	switch args[1] {
	case "sqlite":
		return with(minute, args[2:])
	case "clickhouse":
		return with(minute, args[2:], "--clickhouse", "chdb")
	}
	return errors.New("want minute sqlite or minute clickhouse, and the beginning of an attack's name")
}

// again runs this program with other arguments: a minute gives up its priority.
func again(args ...string) error {
	own, err := os.Executable()
	if err != nil {
		return err
	}
	fmt.Println(strings.Join(args, " ") + ":")
	child := exec.Command(own, args...)
	child.Stdout, child.Stderr = os.Stdout, os.Stderr
	return child.Run()
}

// with measures a gateway that is started with more flags.
func with(measure func(*bed, []string) error, args []string, more ...string) error {
	b := &bed{}
	defer b.close()
	if err := b.begin(more); err != nil {
		return err
	}
	return measure(b, args)
}

// bed is a gateway and a provider, each a process of its own.
type bed struct {
	dir      string
	children []*exec.Cmd
	gateway  int               // process id
	own      *hostile.Provider // of a hostile tenant, in this process
	ready    struct {
		BaseURL    string `json:"base_url"`
		AdminURL   string `json:"admin_url"`
		Token      string `json:"token"`
		AdminToken string `json:"admin_token"`
	}
}

const startTime = 30 * time.Second

// begin starts the processes; close ends those that have started.
func (b *bed) begin(more []string) (err error) {
	if b.dir, err = os.MkdirTemp("", "ownkey-hostile"); err != nil {
		return err
	}
	for name, from := range map[string]string{"ownkey": "./cmd/ownkey", "provider": "./internal/fakeprovider/cmd/fakeprovider"} {
		if out, err := exec.Command("go", "build", "-trimpath", "-o", filepath.Join(b.dir, name), from).CombinedOutput(); err != nil {
			return fmt.Errorf("cannot build %s (run from the project's root): %s", name, out)
		}
	}
	provider := first(filepath.Join(b.dir, "provider"), "-listen", "127.0.0.1:0")
	said, err := provider.StdoutPipe()
	if err != nil {
		return err
	}
	if err := b.start(provider); err != nil {
		return err
	}
	address := make([]byte, 100)
	n, err := said.Read(address)
	if err != nil {
		return fmt.Errorf("the provider did not start: %w", err)
	}
	go io.Copy(io.Discard, said) // ends with the process
	if b.own, err = hostile.StartProvider(); err != nil {
		return err
	}
	file := filepath.Join(b.dir, "ready.json")
	gateway := exec.Command(filepath.Join(b.dir, "ownkey"), "dev", "--data", filepath.Join(b.dir, "data"), "--listen", "127.0.0.1:0",
		"--admin-listen", "127.0.0.1:0", "--provider", "openai="+strings.TrimSpace(string(address[:n])), "--provider", "own="+b.own.URL(),
		"--credential", "openai=sk-hostile", "--ready-file", file)
	gateway.Args = append(gateway.Args, more...)
	if gateway.Stderr, err = os.Create(filepath.Join(b.dir, "log")); err != nil {
		return err
	}
	if err := b.start(gateway); err != nil {
		return err
	}
	b.gateway = gateway.Process.Pid
	for end := time.Now().Add(startTime); ; time.Sleep(20 * time.Millisecond) {
		if f, err := os.ReadFile(file); err == nil && json.Unmarshal(f, &b.ready) == nil {
			return nil
		}
		if time.Now().After(end) {
			return errors.New("the gateway did not start")
		}
	}
}

// first is a program that has the processors before the gateway does, if we may:
// that of somebody with a machine of its own.
func first(program string, args ...string) *exec.Cmd {
	return exec.Command("nice", append([]string{"-n", "-10", program}, args...)...)
}

func (b *bed) start(c *exec.Cmd) error {
	if err := c.Start(); err != nil {
		return err
	}
	b.children = append(b.children, c)
	return nil
}

func (b *bed) close() {
	for _, c := range b.children {
		_ = c.Process.Kill()
		_ = c.Wait()
	}
	if b.own != nil {
		_ = b.own.Close()
	}
	_ = os.RemoveAll(b.dir)
}

// admin makes a call of the admin plane.
func (b *bed) admin(method, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	r, err := http.NewRequest(method, b.ready.AdminURL+"/admin/v1"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+b.ready.AdminToken)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %d %s %w", method, path, answer.StatusCode, text, err)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(text, out)
}

// tenant makes a tenant with a credential, and a token with limits.
func (b *bed) tenant(id string, limits map[string]any) (token string, err error) {
	var made struct{ Token string }
	err = errors.Join(
		b.admin("POST", "/tenants", map[string]any{"id": id}, nil),
		b.admin("PUT", "/tenants/"+id+"/credentials/openai/default", map[string]any{"secret": "sk-" + id}, nil),
		b.admin("POST", "/tenants/"+id+"/tokens", map[string]any{"label": "x", "limits": limits}, &made),
	)
	return made.Token, err
}

// resident is the gateway's memory in bytes; descriptors, what it has open.
func (b *bed) resident() int64 {
	f, _ := os.ReadFile(fmt.Sprintf("/proc/%d/statm", b.gateway))
	var size, pages int64
	_, _ = fmt.Sscan(string(f), &size, &pages)
	return pages * int64(os.Getpagesize())
}

func (b *bed) descriptors() int {
	all, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", b.gateway))
	return len(all)
}

// clockTick is the unit of times in /proc, USER_HZ, the same on all of Go's platforms.
const clockTick = 10 * time.Millisecond

// worked is the time that the gateway has had of all CPUs.
func (b *bed) worked() time.Duration {
	f, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", b.gateway))
	all := strings.Fields(string(f[bytes.LastIndexByte(f, ')')+1:]))
	if len(all) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(all[11])
	system, _ := strconv.Atoi(all[12])
	return time.Duration(user+system) * clockTick
}

// workedHere is the same for this process: the attacker and its provider.
func workedHere() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
