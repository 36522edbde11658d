package main

import (
	"cmp"
	"slices"
	"time"
)

// figures are what is read off a report.
type figures struct{ *report }

func figuresOf(r *report) figures { return figures{r} }

// measured are the contenders that ran, but for those of growth.
func (f figures) measured() (all []contenderReport) {
	for _, c := range f.Contenders {
		if c.Missing == "" && len(f.of("unary 1 KB", c.Name)) > 0 {
			all = append(all, c)
		}
	}
	return all
}

// of finds a contender's samples of a scenario.
func (f figures) of(scenario, contender string) (all []*sample) {
	for _, s := range f.Samples {
		if s.Scenario == scenario && s.Contender == contender {
			all = append(all, s)
		}
	}
	return all
}

// numbered are those with a number: of streams, tenants, memories.
func numbered(all []*sample, n int) []*sample {
	return slices.DeleteFunc(slices.Clone(all), func(s *sample) bool { return s.Number != n })
}

// at are those that offered a share of saturation, by round.
func at(all []*sample, share float64) []*sample {
	return slices.DeleteFunc(slices.Clone(all), func(s *sample) bool { return s.Share != share })
}

// middle is the median over rounds; zero without any.
func middle(all []*sample, of func(*sample) float64) float64 {
	values := make([]float64, len(all))
	for i, s := range all {
		values[i] = of(s)
	}
	return median(values)
}

func perSecond(s *sample) float64 { return s.Result.Rate() }
func cpuMicros(s *sample) float64 { return s.cpuPerCall() }

// busy is the share of its core that a contender spent on the calls of a run.
func busy(s *sample) float64 { return s.cpuPerCall() * s.Result.Rate() / 1e6 }

// behindMicros is what Vault and ClickHouse spend on a call.
func behindMicros(s *sample) float64 {
	return float64(s.Behind.Microseconds()) / float64(max(1, s.Result.Good))
}

// bytesPerStream is what resident memory grew by.
func bytesPerStream(s *sample) float64 {
	return float64(s.Resident-s.Before) / float64(max(1, s.Result.FirstByte.TotalCount()))
}

// added is what a contender adds to a time, beside the provider itself at the
// same rate right after it; in µs, the median over rounds. ok is false where
// either is not there.
func (f figures) added(contender string, share float64, of func(*sample) time.Duration) (micros float64, ok bool) {
	own, direct := at(f.of("ladder", contender), share), at(f.of("ladder beside "+contender, nameDirect), share)
	var all []float64
	for i := range min(len(own), len(direct)) {
		if own[i].Result.Good > 0 {
			all = append(all, inMicros(of(own[i])-of(direct[i])))
		}
	}
	return median(all), len(all) > 0
}

// latency and firstByte are quantiles of a sample.
func latency(q float64) func(*sample) time.Duration {
	return func(s *sample) time.Duration { return s.Result.Latency.At(q) }
}

func firstByte(q float64) func(*sample) time.Duration {
	return func(s *sample) time.Duration { return s.Result.FirstByte.At(q) }
}

// latest is the most that the load was late in 99 of 100 calls, in any run at
// half of saturation.
func (f figures) latest() (latest time.Duration) {
	for _, s := range f.Samples {
		if s.Share == half {
			latest = max(latest, s.Result.Late.At(high))
		}
	}
	return latest
}

func inMicros(d time.Duration) float64 { return float64(d.Nanoseconds()) / float64(time.Microsecond) }

// bestPeer is the peer with the greatest value, or the least if it is negated.
func (f figures) bestPeer(of func(contenderReport) (float64, bool)) (name string, value float64) {
	type candidate struct {
		name  string
		value float64
	}
	var all []candidate
	for _, c := range f.measured() {
		if v, ok := of(c); ok && c.Kind == kindPeer {
			all = append(all, candidate{c.Name, v})
		}
	}
	if len(all) == 0 {
		return "", 0
	}
	best := slices.MaxFunc(all, func(a, b candidate) int { return cmp.Compare(a.value, b.value) })
	return best.name, best.value
}

// numbers are those of the samples, each once, in order.
func numbers(all []*sample) (n []int) {
	for _, s := range all {
		n = append(n, s.Number)
	}
	slices.Sort(n)
	return slices.Compact(n)
}
