package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// report is everything that a run has seen.
type report struct {
	Date       time.Time         `json:"date"`
	Commit     string            `json:"commit"`
	Command    string            `json:"command"`
	Machine    machine           `json:"machine"`
	Contenders []contenderReport `json:"contenders"`
	Books      []bookReport      `json:"books"`
	Samples    []*sample         `json:"samples"`
}

type contenderReport struct {
	Name          string `json:"name"`
	About         string `json:"about"`
	Kind          kind   `json:"kind"`
	Version       string `json:"version,omitempty"`
	Configuration string `json:"configuration,omitempty"`
	Idle          int64  `json:"idle_bytes,omitempty"` // resident after its start
	Missing       string `json:"missing,omitempty"`    // why it was not measured
}

// bookReport is what was asked of a gateway over all runs, and what its books
// have of it.
type bookReport struct {
	Contender string `json:"contender"`
	Asked     int64  `json:"asked"`
	Rows      int64  `json:"rows"`
	Distinct  int64  `json:"distinct"`
}

func (b bookReport) lost() int64    { return b.Asked - b.Distinct }
func (b bookReport) doubled() int64 { return b.Rows - b.Distinct }

type machine struct {
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	Memory int64  `json:"memory_bytes"`
	Kernel string `json:"kernel"`
	Go     string `json:"go"`
	// First: the load could go before Vault and ClickHouse on their core.
	First  bool   `json:"load_first"`
	Stalls stalls `json:"stalls"`
}

func thisMachine() machine {
	m := machine{CPU: "unknown", Cores: runtime.NumCPU(), Go: runtime.Version()}
	b, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(b)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			m.CPU = strings.TrimSpace(value)
			break
		}
	}
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		m.Memory = int64(info.Totalram) * int64(info.Unit)
	}
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		release := unix.ByteSliceToString(name.Release[:])
		m.Kernel = "Linux " + strings.Join(strings.SplitN(release, ".", 3)[:2], ".")
	}
	return m
}

func commit() string {
	out, err := exec.Command("git", "rev-parse", "--short=10", "HEAD").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

// faults are what may never be, however slow a machine is: answers of the
// gateway that are not the provider's, records that are lost or doubled.
func (r *report) faults() (err error) {
	for _, s := range r.Samples {
		if strings.HasPrefix(s.Contender, nameOwnkey) && s.Result.Wrong > 0 {
			err = errors.Join(err, fmt.Errorf("%s, %s: %d wrong answers, the first is %s", s.Contender, s.Scenario, s.Result.Wrong, s.Wrong))
		}
	}
	for _, b := range r.Books {
		if b.lost() != 0 || b.doubled() != 0 {
			err = errors.Join(err, fmt.Errorf("%s: %d calls, but %d records, %d of them different", b.Contender, b.Asked, b.Rows, b.Distinct))
		}
	}
	return err
}

// write leaves the raw file, the table and the plots below a path without
// extension.
func (r *report) write(path string) error {
	raw, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".json", append(raw, '\n'), 0o644); err != nil {
		return err
	}
	return r.render(path)
}

// render writes what is made from the raw data.
func (r *report) render(path string) error {
	f := figuresOf(r)
	if err := os.WriteFile(path+".md", f.markdown(), 0o644); err != nil {
		return err
	}
	for name, svg := range f.plots() {
		if err := os.WriteFile(path+"-"+name+".svg", svg, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func readReport(path string) (*report, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r := &report{}
	if err := json.Unmarshal(raw, r); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}
