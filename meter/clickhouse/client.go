// Package clickhouse keeps records in ClickHouse: it writes batches to immutable
// segments on disk, sends each until it is acknowledged, and answers the
// questions of usage, invoices and evidence. It is the only importer of
// clickhouse-go.
//
// A segment's rows are in ClickHouse once, whatever was sent twice: its token
// and its bytes stay the same, and the tables remember tokens.
package clickhouse

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Server says how to reach ClickHouse.
type Server struct {
	// Addresses are tried in turn. All have the same scheme: http, https,
	// clickhouse (native protocol) or clickhouses (the same over TLS).
	Addresses []*url.URL
	Database  string
	User      string
	// Password gives the password for the time of a call.
	Password func() string
	// Roots are the certificate authorities to trust; nil for the system's.
	Roots *x509.CertPool
	// Cluster is the name in remote_servers; empty for a single server.
	Cluster string
	// Timeout is the deadline of one insertion.
	Timeout time.Duration
}

// client is a connection pool to the server.
type client struct {
	conn   driver.Conn
	server Server
	schema schema
	http   bool
}

func connect(s Server) (*client, error) {
	c := &client{server: s, schema: schema{s.Database, s.Cluster}, http: strings.HasPrefix(s.Addresses[0].Scheme, "http")}
	o := &clickhouse.Options{
		Auth:         clickhouse.Auth{Username: s.User, Password: s.Password()},
		DialTimeout:  10 * time.Second,
		ReadTimeout:  s.Timeout,
		MaxOpenConns: 8,
		MaxIdleConns: 4,
		ClientInfo:   clickhouse.ClientInfo{Products: []struct{ Name, Version string }{{"ownkey", strconv.Itoa(Version)}}},
	}
	for _, a := range s.Addresses {
		o.Addr = append(o.Addr, a.Host)
	}
	if strings.HasSuffix(s.Addresses[0].Scheme, "s") {
		o.TLS = &tls.Config{RootCAs: s.Roots, MinVersion: tls.VersionTLS12}
	}
	if c.http {
		o.Protocol = clickhouse.HTTP
		o.TransportFunc = func(t *http.Transport) (http.RoundTripper, error) { return summaryReader{t}, nil }
	} else {
		o.Compression = &clickhouse.Compression{Method: clickhouse.CompressionLZ4}
	}
	var err error
	if c.conn, err = clickhouse.Open(o); err != nil {
		return nil, fmt.Errorf("cannot use ClickHouse: %w", err)
	}
	return c, nil
}

func (c *client) close() error { return c.conn.Close() }

// insertSettings are sent with every insertion: defaults differ between versions
// and clusters. They are read back at the start.
func (c *client) insertSettings(token string) clickhouse.Settings {
	s := clickhouse.Settings{
		"async_insert":       0,
		"insert_deduplicate": 1,
		"deduplicate_blocks_in_dependent_materialized_views": 1,
		"max_insert_block_size":                              maxRows,
		"min_insert_block_size_rows":                         maxRows,
		"min_insert_block_size_bytes":                        1 << 30,
		"insert_deduplication_token":                         token,
		"max_execution_time":                                 max(1, int(c.server.Timeout.Seconds()*0.9)),
	}
	if c.http {
		s["wait_end_of_query"] = 1
	}
	if c.server.Cluster != "" {
		s["insert_quorum"] = "auto"
		s["insert_distributed_sync"] = 1
	}
	return s
}

// maxRows is more than a segment has: it is inserted as one block, so that it
// is there as a whole or not at all.
const maxRows = 1 << 20

// Problem is something about the server that an operator has to mend.
type Problem struct{ What string }

// Error says what it is.
func (p *Problem) Error() string { return "ClickHouse is not set up as the meter needs it: " + p.What }

// check refuses a server that would lose or double rows: another schema,
// settings that do not take effect, tables that remember no tokens.
func (c *client) check(ctx context.Context) error {
	version, err := c.version(ctx)
	if err != nil {
		return err
	}
	switch {
	case version == 0:
		return &Problem{"the database " + c.server.Database + " has no schema; run: ownkey migrate --config FILE"}
	case version < Version:
		return &Problem{fmt.Sprintf("the schema is version %d, this program needs %d; run: ownkey migrate --config FILE", version, Version)}
	case version > Version:
		return &Problem{fmt.Sprintf("the schema is version %d, this program knows up to %d; use a newer program", version, Version)}
	}
	if err := c.checkSettings(ctx); err != nil {
		return err
	}
	if err := c.checkWindows(ctx); err != nil {
		return err
	}
	return c.checkGrants(ctx)
}

// checkGrants refuses a user who could not make sums again: that would show when
// a server was killed, and records would wait until somebody allows it.
func (c *client) checkGrants(ctx context.Context) error {
	for _, r := range rollups {
		var may uint8
		grant := "ALTER DELETE ON " + c.schema.local(r.table)
		err := c.conn.QueryRow(ctx, "CHECK GRANT "+grant).Scan(&may)
		if e, ok := errors.AsType[*clickhouse.Exception](err); ok && e.Code != 0 {
			return nil // an older server does not know the statement
		}
		if err != nil {
			return fmt.Errorf("cannot read what the user may do: %w", err)
		}
		if may == 0 {
			return &Problem{fmt.Sprintf("its user may not make sums again; GRANT %s TO %s", grant, quote(c.server.User))}
		}
	}
	return nil
}

// version is the schema's; 0 when there is none.
func (c *client) version(ctx context.Context) (version int, err error) {
	var tables uint64
	row := c.conn.QueryRow(ctx, "SELECT count() FROM system.tables WHERE database = ? AND name = 'schema_versions'", c.server.Database)
	if err := row.Scan(&tables); err != nil {
		return 0, fmt.Errorf("cannot reach ClickHouse: %w", err)
	}
	if tables == 0 {
		return 0, nil
	}
	var held uint32
	if err := c.conn.QueryRow(ctx, "SELECT max(version) FROM "+c.schema.name("schema_versions")).Scan(&held); err != nil {
		return 0, fmt.Errorf("cannot read the schema's version: %w", err)
	}
	return int(held), nil
}

func (c *client) checkSettings(ctx context.Context) error {
	want := c.insertSettings("check")
	delete(want, "wait_end_of_query") // a parameter of the HTTP interface
	names := make([]string, 0, len(want))
	for name := range want {
		names = append(names, name)
	}
	rows, err := c.conn.Query(clickhouse.Context(ctx, clickhouse.WithSettings(want)), "SELECT name, value FROM system.settings WHERE name IN ?", names)
	if err != nil {
		return fmt.Errorf("cannot read ClickHouse's settings: %w", err)
	}
	defer rows.Close() //nolint:errcheck // Err has it
	seen := 0
	for rows.Next() {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			return fmt.Errorf("cannot read ClickHouse's settings: %w", err)
		}
		seen++
		if wanted := fmt.Sprint(want[name]); value != wanted {
			return &Problem{fmt.Sprintf("setting %s stays %q where %q is sent; a profile's constraint may hold it", name, value, wanted)}
		}
	}
	if seen < len(want) && rows.Err() == nil {
		return &Problem{fmt.Sprintf("it knows %d of the %d settings that insertions need; it is too old", seen, len(want))}
	}
	return rows.Err()
}

func (c *client) checkWindows(ctx context.Context) error {
	rows, err := c.conn.Query(ctx, "SELECT name, engine_full FROM system.tables WHERE database = ? AND engine LIKE '%MergeTree'", c.server.Database)
	if err != nil {
		return fmt.Errorf("cannot read ClickHouse's tables: %w", err)
	}
	defer rows.Close() //nolint:errcheck // Err has it
	found := map[string]string{}
	for rows.Next() {
		var name, engine string
		if err := rows.Scan(&name, &engine); err != nil {
			return fmt.Errorf("cannot read ClickHouse's tables: %w", err)
		}
		found[strings.TrimSuffix(name, "_local")] = engine
	}
	for _, table := range c.schema.tables() {
		engine, ok := found[table]
		switch {
		case !ok && rows.Err() == nil:
			return &Problem{"table " + table + " is missing; run: ownkey migrate --config FILE"}
		case table != "schema_versions" && table != ownerTable && !strings.Contains(engine, c.schema.window()):
			return &Problem{"table " + table + " would count an insertion twice that is sent again; it needs " + c.schema.window()}
		}
	}
	return rows.Err()
}

// Migrate creates the schema or brings it up to date.
func Migrate(ctx context.Context, s Server, done func(version int)) (err error) {
	c, err := connect(s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	held, err := c.version(ctx)
	if err != nil {
		return err
	}
	if held > Version {
		return &Problem{fmt.Sprintf("the schema is version %d, this program knows up to %d; use a newer program", held, Version)}
	}
	for i, statements := range c.schema.migrations() {
		if i+1 <= held {
			continue
		}
		for _, statement := range statements {
			if err := c.conn.Exec(ctx, statement); err != nil {
				return fmt.Errorf("cannot migrate to version %d: %w\n%s", i+1, err, statement)
			}
		}
		if err := c.conn.Exec(ctx, c.schema.note(i+1)); err != nil {
			return fmt.Errorf("cannot note version %d: %w", i+1, err)
		}
		done(i + 1)
	}
	return nil
}
