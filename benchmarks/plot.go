package main

import (
	"bytes"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// plots are the SVGs of a report, by name.
func (f figures) plots() map[string][]byte {
	all := map[string][]byte{}
	if len(f.measured()) > 0 { // else only growth was
		all["rate"], all["latency"] = f.ratePlot(), f.latencyPlot()
	}
	for _, what := range []string{grownTenants, grownTokens, grownMemories} {
		if svg := f.growthPlot(what); svg != nil {
			all["growth-"+what] = svg
		}
	}
	if svg := f.streamsPlot(); svg != nil {
		all["growth-streams"] = svg
	}
	return all
}

func newPlot(title, x, y string) *plot.Plot {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x, y
	p.Add(plotter.NewGrid())
	p.Legend.Top, p.Legend.Left = true, true
	return p
}

const (
	width  = 16 * vg.Centimeter
	height = 10 * vg.Centimeter
)

// svg draws; nil for a plot without anything in it.
func svg(p *plot.Plot, high vg.Length) []byte {
	w, err := p.WriterTo(width, high, "svg")
	if err != nil {
		return nil
	}
	var b bytes.Buffer
	if _, err := w.WriteTo(&b); err != nil {
		return nil
	}
	return b.Bytes()
}

// ratePlot is a bar for each contender.
func (f figures) ratePlot() []byte {
	const bar = vg.Length(14)
	p := newPlot("Requests per second on one core, 1 KB in, 1 KB out", "", "")
	all := f.measured()
	names := make([]string, len(all))
	for i, c := range all {
		of := len(all) - 1 - i // the first on top
		names[of] = c.Name
		value := middle(f.of("unary 1 KB", c.Name), perSecond)
		b, err := plotter.NewBarChart(plotter.Values{value}, bar)
		if err != nil {
			continue
		}
		b.Horizontal, b.XMin, b.LineStyle.Width = true, float64(of), 0
		b.Color = plotutil.Color(map[kind]int{kindDirect: 3, kindProxy: 4, kindOwnkey: 0, kindPeer: 2}[c.Kind])
		p.Add(b)
		label, err := plotter.NewLabels(plotter.XYLabels{XYs: plotter.XYs{{X: value, Y: float64(of)}}, Labels: []string{" " + number(value, true)}})
		if err == nil {
			label.TextStyle[0].YAlign = draw.YCenter
			p.Add(label)
		}
	}
	p.NominalY(names...)
	p.X.Max *= 1.15 // room for the last number
	return svg(p, vg.Length(len(all)+3)*bar*1.6)
}

// latencyPlot is p99 over what is offered.
func (f figures) latencyPlot() []byte {
	p := newPlot("p99 of the latency, by requests per second offered to one core", "requests/s offered", "ms")
	for i, c := range f.measured() {
		var line plotter.XYs
		for _, s := range f.of("ladder", c.Name) {
			if v := float64(s.Result.Latency.At(high).Nanoseconds()) / 1e6; v > 0 && s.Rate > 0 && s.Round == 0 {
				line = append(line, plotter.XY{X: s.Rate, Y: v})
			}
		}
		addLine(p, c.Name, line, i)
	}
	logarithmic(&p.X)
	logarithmic(&p.Y)
	return svg(p, height)
}

func (f figures) growthPlot(what string) []byte {
	p := newPlot("CPU of a call by number of "+what, what, "µs")
	var samples []*sample
	for _, s := range f.Samples {
		if s.Scenario == "grown "+what {
			samples = append(samples, s)
		}
	}
	var line plotter.XYs
	for _, n := range numbers(samples) {
		line = append(line, plotter.XY{X: float64(n), Y: middle(numbered(samples, n), cpuMicros)})
	}
	if len(line) == 0 {
		return nil
	}
	addLine(p, nameOwnkey, line, 0)
	logarithmic(&p.X)
	p.Y.Min = 0
	return svg(p, height)
}

// streamsPlot is resident memory by open streams.
func (f figures) streamsPlot() []byte {
	p := newPlot("Resident memory by open streams", "streams", "MiB")
	lines := 0
	for i, c := range f.measured() {
		var line plotter.XYs
		for _, s := range f.of("open streams", c.Name) {
			if begun := s.Result.FirstByte.TotalCount(); begun > 0 && s.Resident > 0 {
				line = append(line, plotter.XY{X: float64(begun), Y: float64(s.Resident) / mib})
			}
		}
		lines += len(line)
		addLine(p, c.Name, line, i)
	}
	if lines == 0 {
		return nil
	}
	logarithmic(&p.X)
	logarithmic(&p.Y)
	return svg(p, height)
}

func addLine(p *plot.Plot, name string, line plotter.XYs, i int) {
	if len(line) == 0 {
		return
	}
	l, points, err := plotter.NewLinePoints(line)
	if err != nil {
		return
	}
	l.Color, points.Color = plotutil.Color(i), plotutil.Color(i)
	l.Dashes = plotutil.Dashes(i / len(plotutil.DefaultColors))
	p.Add(l, points)
	p.Legend.Add(name, l, points)
}

// logarithmic makes an axis so, from a power of ten to one.
func logarithmic(a *plot.Axis) {
	a.Scale, a.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	if math.IsInf(a.Min, 0) || a.Min <= 0 || a.Max <= a.Min {
		a.Min, a.Max = 1, 10
	}
	a.Min, a.Max = math.Pow(10, math.Floor(math.Log10(a.Min))), math.Pow(10, math.Ceil(math.Log10(a.Max)))
}
