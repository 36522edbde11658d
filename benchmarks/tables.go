package main

import (
	"fmt"
	"time"
)

// streaming: 100 chunks, at once or apart.
func (f figures) streaming(p *page) {
	p.line("## Streams of 100 chunks\n")
	p.table("contender", "at once: streams/s", "CPU µs each")
	for _, c := range f.measured() {
		if all := f.of("SSE 0 ms", c.Name); len(all) > 0 {
			p.row(f.title(c), number(middle(all, perSecond), true), number(middle(all, cpuMicros), c.Kind != kindDirect))
		}
	}
	for _, gap := range []string{"SSE 10 ms", "SSE 50 ms"} {
		for _, n := range numbers(f.of(gap, nameDirect)) {
			p.line("\n%s between chunks, %d streams open on average; ms from the provider's write to the client's read, and what is added to a gap:\n", gap[4:], n)
			p.table("contender", "first byte p50", "p99", "chunk p50", "p99", "gap added p50", "p99", "CPU µs a stream", "good", "not")
			for _, c := range f.measured() {
				all := numbered(f.of(gap, c.Name), n)
				if len(all) == 0 {
					continue
				}
				of := func(times func(*sample) time.Duration) string {
					return fmt.Sprintf("%.2f", middle(all, func(s *sample) float64 { return inMicros(times(s)) })/1000)
				}
				good, not := int64(0), int64(0)
				for _, s := range all {
					good, not = good+s.Result.Good, not+s.Result.Sent-s.Result.Good
				}
				p.row(f.title(c),
					of(func(s *sample) time.Duration { return s.Result.FirstByte.At(half) }), of(func(s *sample) time.Duration { return s.Result.FirstByte.At(high) }),
					of(func(s *sample) time.Duration { return s.Result.Delay.At(half) }), of(func(s *sample) time.Duration { return s.Result.Delay.At(high) }),
					of(func(s *sample) time.Duration { return s.Result.Gap.At(half) }), of(func(s *sample) time.Duration { return s.Result.Gap.At(high) }),
					number(middle(all, cpuMicros), c.Kind != kindDirect), thousands(good), thousands(not))
			}
		}
	}
	p.line("")
}

// open: what a stream costs that has begun and stays.
func (f figures) open(p *page) {
	counts := numbers(f.of("open streams", nameDirect))
	if len(counts) == 0 {
		return
	}
	p.line("## Open streams: KiB of resident memory for each\n")
	columns := []string{"contender"}
	for _, n := range counts {
		columns = append(columns, thousands(int64(n)))
	}
	p.table(columns...)
	for _, c := range f.measured() {
		if c.Kind == kindDirect {
			continue
		}
		cells := []string{f.title(c)}
		for _, n := range counts {
			all := numbered(f.of("open streams", c.Name), n)
			if len(all) == 0 {
				cells = append(cells, none)
				continue
			}
			each := middle(all, bytesPerStream)
			if each <= 0 { // less than what the process gave back meanwhile
				cells = append(cells, none)
				continue
			}
			cell := kibibytes(each)
			if begun := all[0].Result.FirstByte.TotalCount(); begun < int64(n) {
				cell += fmt.Sprintf(" (%s began)", thousands(begun))
			}
			cells = append(cells, cell)
		}
		p.row(cells...)
	}
	p.line("")
}

func (f figures) aborts(p *page) {
	p.line("## Clients that leave (5 %% of streams), providers that never answer (1 %%)\n")
	p.line("From the client's end to the end of the provider's connection, and what the provider still sent:\n")
	p.table("contender", "left", "p50 ms", "p99 ms", "worst ms", "chunks sent in vain, each", "good", "wrong or failed")
	for _, c := range f.measured() {
		all := f.of("aborts", c.Name)
		if len(all) == 0 {
			continue
		}
		var left, wasted, good, bad int64
		for _, s := range all {
			r := s.Result
			left, wasted, good, bad = left+r.Aborted, wasted+r.Wasted, good+r.Good, bad+r.Wrong+r.Failed
		}
		of := func(q float64) string {
			return fmt.Sprintf("%.2f", middle(all, func(s *sample) float64 { return inMicros(s.Result.Closed.At(q)) })/1000)
		}
		p.row(f.title(c), thousands(left), of(half), of(high), of(1), fmt.Sprintf("%.2f", float64(wasted)/float64(max(1, left))), thousands(good), thousands(bad))
	}
	p.line("")
}

// growth: a call's cost as the gateway holds more.
func (f figures) growth(p *page) {
	p.line("## What a call costs as there is more\n")
	p.table("of", "how many", "requests/s", "CPU µs each", "resident MiB")
	for _, g := range f.grown() {
		for _, n := range numbers(g.samples) {
			all := numbered(g.samples, n)
			p.row(g.what, thousands(int64(n)), number(middle(all, perSecond), true), number(middle(all, cpuMicros), true),
				fmt.Sprintf("%.0f", middle(all, func(s *sample) float64 { return float64(s.Resident) / mib })))
		}
	}
	p.line("")
}

type grown struct {
	what    string
	samples []*sample
}

func (f figures) grown() (all []grown) {
	for _, g := range []struct{ what, scenario string }{
		{"tenants, one token each, Zipf", "grown tenants"}, {"tokens of one tenant, Zipf", "grown tokens"}, {"memories that each call recalls from", "grown memories"},
	} {
		var samples []*sample
		for _, s := range f.Samples {
			if s.Scenario == g.scenario {
				samples = append(samples, s)
			}
		}
		if len(samples) > 0 {
			all = append(all, grown{g.what, samples})
		}
	}
	return all
}

func (f figures) outages(p *page) {
	p.line("## Outages: a third of the run each, amid it\n")
	p.table("what", "requests/s", "sent", "good", "failed", "p50 ms", "p99 ms", "worst ms")
	for _, name := range []string{"Vault sealed", "ClickHouse down"} {
		for _, s := range f.of(name, nameOwnkey) {
			r := s.Result
			p.row(name, number(s.Rate, true), thousands(r.Sent), thousands(r.Good), thousands(r.Sent-r.Good),
				milliseconds(r.Latency.At(half)), milliseconds(r.Latency.At(high)), milliseconds(r.Latency.At(1)))
		}
	}
	p.line("")
}

func (f figures) books(p *page) {
	p.line("## Records, over all runs\n")
	p.table("contender", "calls", "records", "lost", "doubled")
	for _, b := range f.Books {
		p.row(b.Contender, thousands(b.Asked), thousands(b.Rows), thousands(b.lost()), thousands(b.doubled()))
	}
	p.line("")
}

// capacity says how many cores a rate takes, from the cost of a call at
// saturation, at 60 % of them: behind that, latency rises (see the ladder).
func (f figures) capacity(p *page) {
	const load = 0.6
	p.line("## Capacity: cores for the gateway, and beside it for Vault and ClickHouse, at %.0f %% load\n", 100*load)
	p.table("requests/s of 1 KB", nameOwnkey, "beside it", nameMemory, "beside it")
	for _, rate := range []float64{1000, 10_000, 100_000} {
		cells := []string{thousands(int64(rate))}
		for _, name := range []string{nameOwnkey, nameMemory} {
			all := f.of("unary 1 KB", name)
			for _, of := range []func(*sample) float64{cpuMicros, behindMicros} {
				micros := middle(all, of)
				cells = append(cells, fmt.Sprintf("%.2f", rate*micros/1e6/load))
			}
		}
		p.row(cells...)
	}
	p.line("")
}

// targets sets what was wanted beside what was measured.
func (f figures) targets(p *page) {
	p.line("## What was wanted, what is\n")
	p.table("figure", "wanted", "measured")
	cpu := func(name string) float64 { return middle(f.of("unary 1 KB", name), cpuMicros) }
	rate := func(name string) float64 { return middle(f.of("unary 1 KB", name), perSecond) }
	if cpu(nameNginx) > 0 {
		p.row("CPU of a unary call of 1 KB, all on but memory", "≤ 1.5 × nginx", fmt.Sprintf("%.2f ×", cpu(nameOwnkey)/cpu(nameNginx)))
	}
	if cpu(nameMemory) > 0 {
		p.row("recall from 1,000 memories", "≤ 60 µs more", fmt.Sprintf("%.1f µs more", cpu(nameMemory)-cpu(nameOwnkey)))
	}
	if name, best := f.bestPeer(func(c contenderReport) (float64, bool) { return rate(c.Name), true }); name != "" {
		p.row("requests/s of a core", "≥ 1.5 × the best peer", fmt.Sprintf("%.2f × %s", rate(nameOwnkey)/best, name))
	}
	for _, name := range []string{"litellm", "portkey"} {
		if r := rate(name); r > 0 {
			p.row("requests/s of a core", "≥ 20 × "+name, fmt.Sprintf("%.1f ×", rate(nameOwnkey)/r))
		}
	}
	own, _ := f.added(nameOwnkey, half, latency(high))
	best, negated := f.bestPeer(func(c contenderReport) (float64, bool) {
		v, ok := f.added(c.Name, half, latency(high))
		return -v, ok
	})
	if best != "" {
		p.row("p99 added at 50 % of saturation", "≤ half of the best peer's", fmt.Sprintf("%.0f µs; %s %.0f µs", own, best, -negated))
	}
	gap := 0.
	for _, name := range []string{"SSE 10 ms", "SSE 50 ms"} {
		for _, n := range numbers(f.of(name, nameOwnkey)) {
			gap = max(gap, middle(numbered(f.of(name, nameOwnkey), n), func(s *sample) float64 { return inMicros(s.Result.Gap.At(high)) }))
		}
	}
	p.row("gap added between chunks, p99, the worst scenario", "≤ 0.5 ms", fmt.Sprintf("%.2f ms", gap/1000))
	if counts := numbers(f.of("open streams", nameOwnkey)); len(counts) > 0 {
		most := counts[len(counts)-1]
		p.row(fmt.Sprintf("memory of each of %s streams", thousands(int64(most))), "≤ 32 KiB", kibibytes(middle(numbered(f.of("open streams", nameOwnkey), most), bytesPerStream))+" KiB")
	}
	p.row("provider's connection closed after the client left, p99", "≤ 100 ms",
		fmt.Sprintf("%.2f ms", middle(f.of("aborts", nameOwnkey), func(s *sample) float64 { return inMicros(s.Result.Closed.At(high)) })/1000))
	var asked, lost, doubled int64
	for _, b := range f.Books {
		asked, lost, doubled = asked+b.Asked, lost+max(b.lost(), -b.lost()), doubled+b.doubled()
	}
	p.row("records lost, doubled", "0, 0", fmt.Sprintf("%s, %s of %s", thousands(lost), thousands(doubled), thousands(asked)))
	p.line("")
}
