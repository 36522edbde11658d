package config

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// clickHouseName is what a database or cluster may be called, so that it can
// stand in a statement.
var clickHouseName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]{0,63}$`)

func (d *decoder) meter(m *Meter) {
	d.between("meter.max_bytes", m.MaxBytes, 16<<20, 1<<50)
	if m.FsyncInterval < 0 || m.FsyncInterval > time.Minute {
		d.add(nil, "meter.fsync_interval", "must be between 0s and 1m")
	}
	c := &m.ClickHouse
	if c.URL == "" {
		return
	}
	const at = "meter.clickhouse."
	servers, err := c.Servers()
	if err != nil {
		d.add(nil, at+"url", err.Error())
	}
	for _, u := range servers {
		plain := u.Scheme == "http" || u.Scheme == "clickhouse"
		if plain && !loopback(u.Hostname()) && !c.AllowPlain {
			d.add(nil, at+"url", "would send the password in clear; use https or clickhouses, or set allow_plain: true")
		}
	}
	if !clickHouseName.MatchString(c.Database) {
		d.add(nil, at+"database", "must match "+clickHouseName.String())
	}
	if c.Cluster != "" && !clickHouseName.MatchString(c.Cluster) {
		d.add(nil, at+"cluster", "must match "+clickHouseName.String())
	}
	d.required(at+"user", c.User)
	if c.Timeout < time.Second || c.Timeout > time.Hour {
		d.add(nil, at+"timeout", "must be between 1s and 1h")
	}
}

// Servers are the addresses of URL. All have the same scheme.
func (c *ClickHouse) Servers() ([]*url.URL, error) {
	var all []*url.URL
	for s := range strings.SplitSeq(c.URL, ",") {
		u, err := url.Parse(strings.TrimSpace(s))
		switch {
		case err != nil || u.Hostname() == "":
			return nil, errors.New("want SCHEME://HOST:PORT")
		case u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "clickhouse" && u.Scheme != "clickhouses":
			return nil, errors.New("must begin with https://, http://, clickhouses:// or clickhouse://")
		case u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "":
			return nil, errors.New("must be SCHEME://HOST:PORT alone; user, password and database have settings of their own")
		case u.Port() == "":
			return nil, fmt.Errorf("%s has no port; ClickHouse's are 8443 (https), 8123 (http), 9440 (clickhouses) and 9000 (clickhouse)", u.Host)
		case len(all) > 0 && u.Scheme != all[0].Scheme:
			return nil, errors.New("the servers must have the same scheme")
		}
		all = append(all, u)
	}
	return all, nil
}
