package main

import (
	"bytes"
	"fmt"
	"strings"
	"time"
)

// page is Markdown in the making.
type page struct{ bytes.Buffer }

func (p *page) line(format string, a ...any) { fmt.Fprintf(p, format+"\n", a...) }

func (p *page) table(columns ...string) {
	p.line("| %s |", strings.Join(columns, " | "))
	p.line("|%s", strings.Repeat(" --- |", 1)+strings.Repeat(" ---: |", len(columns)-1))
}

func (p *page) row(cells ...string) { p.line("| %s |", strings.Join(cells, " | ")) }

const none = "–"

func number(v float64, ok bool) string {
	switch {
	case !ok:
		return none
	case v >= 1000 || v <= -1000:
		return thousands(int64(v))
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.1f", v)
}

func thousands(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func kibibytes(b float64) string { return fmt.Sprintf("%.1f", b/kib) }

// markdown is the whole table.
func (f figures) markdown() []byte {
	p := &page{}
	p.line("# %s, commit %s\n", f.Date.Format("2006-01-02"), f.Commit)
	p.line("`%s` on %d cores of %s, %.0f GiB, %s, %s. A contender has one core; the load, which is the provider too, Vault and ClickHouse have the other.",
		f.Command, f.Machine.Cores, f.Machine.CPU, float64(f.Machine.Memory)/(kib*mib), f.Machine.Kernel, f.Machine.Go)
	p.line("The machine itself takes %.1f ms of each second from the contenders' core, %.1f ms at the longest, while all of them stand: less than that no tail here can be.",
		1000*f.Machine.Stalls.Share, f.Machine.Stalls.Worst.Seconds()*1000)
	p.line("All contenders in turn, in one run; medians over rounds. What the figures mean and do not mean: [README.md](../README.md).\n")
	f.targets(p)
	f.saturation(p)
	f.latency(p)
	f.bodies(p)
	f.streaming(p)
	f.open(p)
	f.aborts(p)
	f.growth(p)
	f.outages(p)
	f.books(p)
	f.capacity(p)
	f.versions(p)
	return p.Bytes()
}

func (f figures) saturation(p *page) {
	p.line("## One core, 1 KB in, 1 KB out\n")
	p.table("contender", "requests/s", "least – most", "CPU µs each", "core busy", "beside nginx", "Vault and ClickHouse, µs each", "idle MiB", "wrong")
	nginx := middle(f.of("unary 1 KB", nameNginx), cpuMicros)
	for _, c := range f.measured() {
		all := f.of("unary 1 KB", c.Name)
		least, most, wrong := 0., 0., int64(0)
		for i, s := range all {
			if least = min(least, perSecond(s)); i == 0 {
				least = perSecond(s)
			}
			most, wrong = max(most, perSecond(s)), wrong+s.Result.Wrong+s.Result.Failed
		}
		cpu, behind := middle(all, cpuMicros), middle(all, behindMicros)
		p.row(f.title(c), number(middle(all, perSecond), true), number(least, true)+" – "+number(most, true), number(cpu, cpu > 0), share(middle(all, busy), cpu > 0),
			ratio(cpu, nginx), number(behind, c.Kind == kindOwnkey && behind > 0), fmt.Sprintf("%.0f", float64(c.Idle)/mib), fmt.Sprint(wrong))
	}
	p.line("")
}

func ratio(of, to float64) string {
	if of == 0 || to == 0 {
		return none
	}
	return fmt.Sprintf("%.2f", of/to)
}

func share(v float64, ok bool) string {
	if !ok {
		return none
	}
	return fmt.Sprintf("%.0f %%", 100*v)
}

func (f figures) title(c contenderReport) string {
	if c.Kind == kindPeer {
		return strings.TrimSpace(c.About)
	}
	return c.Name + ", " + c.About
}

func (f figures) latency(p *page) {
	p.line("## Latency added, in µs, at 50 %% of what each can do; medians over rounds\n")
	p.table("contender", "requests/s", "p50", "p99", "p99.9", "first byte p50", "first byte p99")
	for _, c := range f.measured() {
		all := at(f.of("ladder", c.Name), half)
		if len(all) == 0 {
			continue
		}
		cells := []string{f.title(c), number(all[0].Rate, true)}
		for _, of := range []func(*sample) time.Duration{latency(half), latency(high), latency(0.999), firstByte(half), firstByte(high)} {
			cells = append(cells, number(f.added(c.Name, half, of)))
		}
		p.row(cells...)
	}
	p.line("\nThe load itself was late by %.2f ms at most (p99 of any run at 50 %%).", inMicros(f.latest())/1000)
	p.line("\np99 of the whole latency, in ms, by share of saturation offered; in brackets the calls that had no good answer:\n")
	var shares []float64
	columns := []string{"contender"}
	for _, s := range f.of("ladder", nameOwnkey) {
		if s.Round == 0 {
			shares = append(shares, s.Share)
			columns = append(columns, fmt.Sprintf("%.0f %%", 100*s.Share))
		}
	}
	p.table(columns...)
	for _, c := range f.measured() {
		cells := []string{f.title(c)}
		for _, share := range shares {
			all := at(f.of("ladder", c.Name), share)
			if len(all) == 0 {
				continue
			}
			cell := fmt.Sprintf("%.2f", middle(all, func(s *sample) float64 { return inMicros(s.Result.Latency.At(high)) })/1000)
			bad := int64(0)
			for _, s := range all {
				bad += s.Result.Sent - s.Result.Good
			}
			if bad > 0 {
				cell += fmt.Sprintf(" (%s)", thousands(bad))
			}
			cells = append(cells, cell)
		}
		if len(cells) > 1 {
			p.row(cells...)
		}
	}
	p.line("")
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.2f", float64(d.Microseconds())/1000)
}

func (f figures) bodies(p *page) {
	p.line("## Larger bodies: requests/s, and CPU µs each\n")
	p.table("contender", "32 KB", "µs", "400 KB", "µs", "8 MB", "µs")
	for _, c := range f.measured() {
		cells := []string{f.title(c)}
		for _, name := range []string{"unary 32 KB", "unary 400 KB", "unary 8 MB"} {
			all := f.of(name, c.Name)
			if len(all) == 0 || middle(all, perSecond) == 0 {
				cells = append(cells, none, none)
				continue
			}
			cells = append(cells, number(middle(all, perSecond), true), number(middle(all, cpuMicros), c.Kind != kindDirect))
		}
		p.row(cells...)
	}
	p.line("")
}

func (f figures) versions(p *page) {
	p.line("## Who took part\n")
	for _, c := range f.Contenders {
		switch {
		case c.Missing != "":
			p.line("- %s: not measured: %s", c.About, c.Missing)
		case c.Version != "":
			p.line("- %s: %s", c.Name, c.Version)
		}
	}
	p.line("\nTheir configurations are in the JSON, and in [proxies](../proxies) and [peers](../peers).")
}
