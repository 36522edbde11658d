package main

import (
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// newMetrics makes the registry behind GET /metrics, with what is known of the
// process itself. Every other metric is registered where its numbers are. Its
// name and help are literals there, from which docs/metrics.md is made.
func newMetrics() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	module, from := build()
	promauto.With(r).NewGaugeVec(prometheus.GaugeOpts{
		Name: "ownkey_build_info", Help: "1, with the version, commit and Go version of the program as labels.",
	}, []string{"version", "commit", "goversion"}).WithLabelValues(module, from, runtime.Version()).Set(1)
	return r
}
