package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ownkey/ownkey/benchmarks/load"
)

// sample is one run of one contender.
type sample struct {
	Scenario  string  `json:"scenario"`
	Contender string  `json:"contender"`
	Round     int     `json:"round"`
	Share     float64 `json:"share,omitempty"`  // of saturation that was offered
	Rate      float64 `json:"rate,omitempty"`   // offered, calls per second; zero: as many as come back
	Number    int     `json:"number,omitempty"` // of tenants, tokens, memories or streams

	CPU      time.Duration `json:"cpu_ns"`    // the contender's, with what it does after the last answer
	Behind   time.Duration `json:"behind_ns"` // Vault's and ClickHouse's
	Before   int64         `json:"before_bytes"`
	Resident int64         `json:"resident_bytes"` // at the end of the run, connections open
	Result   *load.Result  `json:"result"`
	Wrong    string        `json:"wrong,omitempty"` // the first answer that was not right
}

// cpuPerCall is in µs.
func (s *sample) cpuPerCall() float64 {
	return float64(s.CPU.Microseconds()) / float64(max(1, s.Result.Good))
}

// measurer runs plans on contenders, one at a time, while the others stand.
type measurer struct {
	*bed
	report   *report
	running  []*standing
	profiles string // directory; empty for none
}

// standing is a contender that has been started.
type standing struct {
	contender
	*instance
	saturation float64
	base       records
	idle       int64 // bytes, resident after its start
}

// start starts the contenders; peers that can not be had are reported as such.
func (m *measurer) start(ctx context.Context, all []contender) error {
	for _, c := range all {
		began := time.Now()
		entry := contenderReport{Name: c.name, About: c.about, Kind: c.kind}
		s, err := m.stand(ctx, c)
		switch {
		case err != nil && c.kind != kindPeer:
			return fmt.Errorf("%s: %w", c.name, err)
		case err != nil:
			entry.Missing = err.Error()
			fmt.Fprintf(os.Stderr, "%s: %v\n", c.name, err)
		default:
			entry.Version, entry.Configuration, entry.Idle = s.version, s.configuration, s.idle
			fmt.Fprintf(os.Stderr, "%s: started in %v\n", c.name, time.Since(began).Round(time.Millisecond))
		}
		m.report.Contenders = append(m.report.Contenders, entry)
	}
	return nil
}

// stand starts one contender, tries it, and lets it stand.
func (m *measurer) stand(ctx context.Context, c contender) (*standing, error) {
	i, err := c.start(ctx, m.bed, c.name)
	if err != nil {
		return nil, err
	}
	s := &standing{contender: c, instance: i}
	if err := m.try(s); err != nil {
		if i.process != nil {
			s.stop()
		}
		return nil, err
	}
	m.running = append(m.running, s)
	if i.records != nil {
		if s.base, err = m.settled(ctx, s); err != nil {
			return nil, err
		}
		s.asked = 0
	}
	if i.process != nil {
		s.idle = i.resident()
		i.pause()
	}
	return s, nil
}

// try makes some calls of both kinds, which must be answered as they should be,
// and warms the contender up.
func (m *measurer) try(s *standing) error {
	const calls, warm = 4, 2 * time.Second
	for _, chunks := range []int{0, 10} {
		p := load.Plan{Call: load.Call{BodyBytes: 1 << 10, Chunks: chunks}, Connections: calls, During: warm, Patience: warm}
		r, why, err := m.ends.Run(s.target, m.model(s, p))
		if err != nil {
			return err
		}
		s.asked += r.Sent - r.Unsent
		if r.Good == 0 || r.Wrong > 0 {
			return fmt.Errorf("it does not answer as the provider does: %v: %s", r, why)
		}
	}
	return nil
}

func (m *measurer) model(s *standing, p load.Plan) load.Plan {
	if p.Model = s.model; p.Model == "" {
		p.Model = "gpt-4o-mini"
	}
	return p
}

// run carries out a plan on a contender, and keeps the sample.
func (m *measurer) run(s *standing, p load.Plan, about sample) (*sample, error) {
	about.Contender, about.Rate = s.name, p.Rate
	var cpu time.Duration
	if s.process != nil {
		s.resume()
		defer s.pause()
		about.Before, cpu = s.resident(), s.cpu()
	}
	behind := m.behind()
	m.report.Machine.First = first()
	m.profiled(s, p.During, strings.ReplaceAll(about.Scenario, " ", "-"))
	if s.process != nil {
		p.Last = func() { about.Resident = s.resident() } // it takes 5 ms: never amid the calls
	}
	r, why, err := m.ends.Run(s.target, m.model(s, p))
	if err != nil {
		return nil, fmt.Errorf("%s, %s: %w", s.name, about.Scenario, err)
	}
	s.asked += r.Sent - r.Unsent
	if err := m.settle(s); err != nil {
		return nil, err
	}
	if s.process != nil {
		about.CPU = s.cpu() - cpu
	}
	about.Behind, about.Result, about.Wrong = m.behind()-behind, r, why
	m.report.Samples = append(m.report.Samples, &about)
	fmt.Fprintf(os.Stderr, "%-18s %-20s %v; %.0f/s, %.1f µs of CPU each, p50 %v p99 %v; the load late p99 %v, worst %v\n", s.name, about.Scenario, r, r.Rate(),
		about.cpuPerCall(), shown(r.Latency.At(half)), shown(r.Latency.At(high)), shown(r.Late.At(high)), shown(r.Late.At(1)))
	return &about, nil
}

// shown is a duration as a line has it.
func shown(d time.Duration) time.Duration { return d.Round(time.Microsecond) }

// profiled asks a gateway for a CPU profile of a run, beside it.
func (m *measurer) profiled(s *standing, during time.Duration, name string) {
	if m.profiles == "" || s.profile == "" {
		return
	}
	go func() {
		url := fmt.Sprintf("%s?seconds=%d", s.profile, max(1, int(during.Seconds())))
		profile, err := call(context.Background(), http.MethodGet, url, adminToken, "")
		if err == nil {
			err = os.WriteFile(filepath.Join(m.profiles, s.name+"-"+name+".pprof"), profile, 0o600)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}()
}

// settle waits until the contender has done what is left to do behind its
// answers, such as carrying records away: that, too, is what a call costs.
func (m *measurer) settle(s *standing) error {
	if s.process == nil {
		return m.ends.Serve(100 * time.Millisecond)
	}
	const look, most, quiet = 300 * time.Millisecond, 10 * time.Second, 0.03
	least := look
	if s.kind == kindOwnkey {
		least = 5 * look // records go once a second
	}
	for began := time.Now(); time.Since(began) < most; {
		from := s.cpu()
		if err := m.ends.Serve(look); err != nil {
			return err
		}
		if time.Since(began) > least && float64(s.cpu()-from) < quiet*float64(look) {
			break
		}
	}
	return nil
}

// behind is what Vault and ClickHouse have used so far.
func (m *measurer) behind() (total time.Duration) {
	for _, p := range m.servers() {
		total += cpuOf(p)
	}
	return total
}

// settled gives the contender's records when no more come.
func (m *measurer) settled(ctx context.Context, s *standing) (r records, err error) {
	s.resume()
	defer s.pause()
	const look, enough = 1500 * time.Millisecond, 3
	for same := 0; same < enough; {
		if err := m.ends.Serve(look); err != nil {
			return r, err
		}
		now, err := s.records(ctx)
		if err != nil {
			return r, err
		}
		if same++; now != r {
			r, same = now, 0
		}
	}
	return r, nil
}

// books compares what was asked with what was recorded.
func (m *measurer) books(ctx context.Context, all ...*standing) error {
	for _, s := range all {
		if s.records == nil {
			continue
		}
		r, err := m.settled(ctx, s)
		if err != nil {
			return err
		}
		b := bookReport{Contender: s.name, Asked: s.asked, Rows: r.Rows - s.base.Rows, Distinct: r.Distinct - s.base.Distinct}
		m.report.Books = append(m.report.Books, b)
		fmt.Fprintf(os.Stderr, "%-18s %d calls, %d rows, %d of them different\n", s.name, b.Asked, b.Rows, b.Distinct)
	}
	return nil
}

func (m *measurer) stop() {
	for _, s := range m.running {
		if s.process != nil {
			s.stop()
		}
	}
}

// of finds a contender that was started.
func (m *measurer) of(name string) *standing {
	for _, s := range m.running {
		if s.name == name {
			return s
		}
	}
	return nil
}
