package main

import (
	"errors"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/ownkey/ownkey/config"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// hangups gives the signals that ask for a reload. From here on they no longer
// end the process: one that comes while it starts waits until it serves, and one
// that comes while it stops is of no effect.
func hangups() <-chan os.Signal {
	asked := make(chan os.Signal, 1) // several are one reload
	signal.Notify(asked, syscall.SIGHUP)
	return asked
}

// reloads says how the last one ended, in the manner of Prometheus itself.
type reloads struct {
	successful prometheus.Gauge
	at         prometheus.Gauge
}

func newReloads(to prometheus.Registerer) *reloads {
	with := promauto.With(to)
	r := &reloads{
		successful: with.NewGauge(prometheus.GaugeOpts{
			Name: "ownkey_config_last_reload_successful", Help: "1 if the configuration was taken the last time it was read, at the start or by a reload; else 0.",
		}),
		at: with.NewGauge(prometheus.GaugeOpts{
			Name: "ownkey_config_last_reload_success_timestamp_seconds", Help: "When the configuration was last read and taken, as Unix time.",
		}),
	}
	r.succeeded()
	return r
}

func (r *reloads) succeeded() {
	r.successful.Set(1)
	r.at.SetToCurrentTime()
}

// now is the configuration that counts. What needs a restart is as it was at the
// start.
func (a *app) now() *config.Config { return a.live.Load() }

// reload reads the configuration again and logs what came of it. No line shows a
// value.
func (a *app) reload() {
	if a.load == nil {
		a.log.Warn().Msg("there is no configuration file to reload; to stop, send SIGTERM or SIGINT")
		return
	}
	changes, err := a.change()
	if err != nil {
		a.reloads.successful.Set(0)
		for problem := range strings.SplitSeq(err.Error(), "\n") {
			a.log.Error().Str("problem", problem).Msg("the configuration was not reloaded; nothing has changed")
		}
		return
	}
	a.reloads.succeeded()
	if len(changes.Waiting) > 0 {
		a.log.Warn().Strs("keys", changes.Waiting).Msg("changed keys wait for a restart")
	}
	a.log.Info().Strs("keys", changes.Applied).Msg("the configuration was reloaded")
}

// change puts the configuration of the file in place, as far as that needs no
// restart. All that may fail comes first: after an error nothing has changed.
func (a *app) change() (config.Difference, error) {
	next, err := a.load()
	if err == nil {
		err = checkFiles(next)
	}
	if err != nil {
		return config.Difference{}, err
	}
	merged, changes, err := config.Merge(a.now(), next)
	if err != nil {
		return changes, err
	}
	settings, err := a.gatewaySettings(merged)
	if err != nil {
		return changes, err
	}
	if err := setLogLevel(merged.Log.Level); err != nil {
		return changes, err
	}
	a.directory.SetProviders(slices.Collect(maps.Keys(merged.AllProviders())))
	a.gateway.Apply(&settings)
	a.admission.Apply(a.admissionSettings(merged))
	a.settings = settings
	a.live.Store(merged)
	return changes, nil
}

// environment gives a configuration the variables that it names, and remembers
// which: their values are blanked after the start and stay in Go's own copy.
type environment struct{ names map[string]bool }

// first is for the start.
func (e *environment) first(name string) (string, bool) {
	e.names[name] = true
	return os.LookupEnv(name)
}

// entries are the entries of the process's environment that were named.
func (e *environment) entries() (all []string) {
	for name := range e.names {
		if value, ok := os.LookupEnv(name); ok {
			all = append(all, name+"="+value)
		}
	}
	return all
}

// load reads a configuration again. A process's environment stays what it was
// when it started, and a variable that was not named then was not blanked: such
// a one needs a restart.
func (e *environment) load(path string) (*config.Config, error) {
	var late []error
	c, err := config.Load(path, func(name string) (string, bool) {
		if !e.names[name] {
			late = append(late, errors.New(path+": ${"+name+"} was not named when the gateway started: restart it, or give the value as {file: PATH}"))
			return "", false
		}
		return os.LookupEnv(name)
	})
	return c, errors.Join(append([]error{err}, late...)...)
}
