package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Cores by what runs on them: the contender alone on the first, since figures
// are per core; all else on the second.
const (
	contenderCore = 0
	otherCore     = 1
)

// process is a child with those that it has started, on one core.
type process struct {
	cmd   *exec.Cmd
	log   string // file
	ended chan struct{}
}

// startProcess starts a program in a process group of its own. What it prints
// goes to log.
func startProcess(core int, log string, env []string, name string, args ...string) (*process, error) {
	out, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	c := exec.Command("taskset", append([]string{"-c", strconv.Itoa(core), name}, args...)...)
	c.Env = append(os.Environ(), env...)
	c.Stdout, c.Stderr = out, out
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: unix.SIGKILL}
	if err := c.Start(); err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", name, err)
	}
	p := &process{c, log, make(chan struct{})}
	go func() {
		_ = c.Wait() // how it ended stands in its log
		close(p.ended)
	}()
	return p, nil
}

// stop ends the group, at first by asking.
func (p *process) stop() {
	_ = p.signal(unix.SIGCONT)
	_ = p.signal(unix.SIGTERM)
	const patience = 10 * time.Second
	select {
	case <-p.ended:
	case <-time.After(patience):
	}
	_ = p.signal(unix.SIGKILL)
	<-p.ended
}

// lastWords are the end of its log.
func (p *process) lastWords() string {
	const most = 1000
	b, _ := os.ReadFile(p.log)
	return strings.TrimSpace(string(b[max(0, len(b)-most):]))
}

// pause stops the group's threads, and resume lets them go on.
func (p *process) pause()  { _ = p.signal(unix.SIGSTOP) }
func (p *process) resume() { _ = p.signal(unix.SIGCONT) }

func (p *process) signal(s syscall.Signal) error { return unix.Kill(-p.cmd.Process.Pid, s) }

// tree is the process with all that it has started.
func (p *process) tree() []int {
	pids := []int{p.cmd.Process.Pid}
	for i := 0; i < len(pids); i++ {
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pids[i]))
		for _, t := range tasks {
			b, _ := os.ReadFile(t)
			for f := range strings.FieldsSeq(string(b)) {
				if n, err := strconv.Atoi(f); err == nil {
					pids = append(pids, n)
				}
			}
		}
	}
	return pids
}

// cpu is the time that the tree has spent on the CPU, in
// nanoseconds.
func (p *process) cpu() (total time.Duration) {
	for _, pid := range p.tree() {
		total += cpuOf(pid)
	}
	return total
}

// cpuOf reads the clock of another process (clock_getcpuclockid(3)): what all
// its threads have spent, those that have ended among them.
func cpuOf(pid int) time.Duration {
	const schedClock = 2
	var t unix.Timespec
	if unix.ClockGettime(int32(^pid<<3|schedClock), &t) != nil {
		return 0 // it has ended
	}
	return time.Duration(t.Nano())
}

// resident is the memory of the tree, in bytes; pages that its processes share
// count once (Pss).
func (p *process) resident() (total int64) {
	for _, pid := range p.tree() {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		for line := range strings.Lines(string(b)) {
			if kib, ok := strings.CutPrefix(line, "Pss:"); ok {
				n, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(kib), " kB"), 10, 64)
				total += n << 10
			}
		}
	}
	return total
}
