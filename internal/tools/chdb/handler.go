package main

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"sort"
	"strconv"
	"strings"

	"github.com/ClickHouse/ch-go/compress"
	"github.com/google/uuid"
)

// handler answers ClickHouse's HTTP interface. It keeps nothing between
// requests: a session's settings and database are set for each.
type handler struct{ sessions chan *session }

// ServeHTTP answers one call.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/ping" {
		_, _ = io.WriteString(w, "Ok.\n")
		return
	}
	c, err := read(r)
	if err != nil {
		fail(w, fmt.Errorf("Code: 36. DB::Exception: %w (BAD_ARGUMENTS)", err))
		return
	}
	var out result
	if isHello(c.query) {
		out.data, err = h.hello()
	} else {
		out, err = h.run(c)
	}
	if err != nil {
		fail(w, err)
		return
	}
	answer(w, r, c, out)
}

// call is a request, read.
type call struct {
	query      string
	format     string // of the answer, unless the query says another
	database   string
	settings   []parameter
	parameters []parameter
	compress   bool // the answer in ClickHouse's blocks
	body       io.Reader
	hasBody    bool // data for an insertion
}

// notSettings are the names in a URL that are the interface's own.
var notSettings = map[string]bool{
	"query": true, "database": true, "default_format": true, "compress": true, "decompress": true, "user": true, "password": true, "quota_key": true,
	"query_id": true, "session_id": true, "session_timeout": true, "session_check": true, "wait_end_of_query": true, "buffer_size": true,
	"client_protocol_version": true, "role": true, "enable_http_compression": true, "http_zlib_compression_level": true, "stacktrace": true,
}

func read(r *http.Request) (*call, error) {
	q := r.URL.Query()
	c := &call{format: q.Get("default_format"), database: q.Get("database"), compress: q.Get("compress") == "1", body: r.Body}
	if f := r.Header.Get("X-ClickHouse-Format"); f != "" {
		c.format = f
	}
	if c.format == "" {
		c.format = "TabSeparated"
	}
	if d := r.Header.Get("X-ClickHouse-Database"); d != "" && c.database == "" {
		c.database = d
	}
	c.take(q)
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(c.body)
		if err != nil {
			return nil, err
		}
		c.body = z
	}
	if q.Get("decompress") == "1" {
		c.body = compress.NewReader(c.body)
	}
	if c.query = q.Get("query"); c.query != "" {
		c.hasBody = r.ContentLength != 0
		return c, nil
	}
	text, err := io.ReadAll(c.body)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	c.query = string(text)
	return c, nil
}

// take sorts the names of a URL into settings and parameters.
func (c *call) take(q url.Values) {
	for name, values := range q {
		value := values[len(values)-1]
		switch {
		case strings.HasPrefix(name, "param_"):
			c.parameters = append(c.parameters, parameter{strings.TrimPrefix(name, "param_"), value})
		case !notSettings[name]:
			c.settings = append(c.settings, parameter{name, value})
		}
	}
	sort.Slice(c.settings, func(i, j int) bool { return c.settings[i].name < c.settings[j].name })
}

// plain is what a setting may be called, so that it can stand in a statement.
var plain = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// run runs the query on a session of its own.
func (h *handler) run(c *call) (out result, err error) {
	s := <-h.sessions
	defer func() { h.sessions <- s }()
	set, reset := make([]string, 0, len(c.settings)), make([]string, 0, len(c.settings))
	for _, p := range c.settings {
		if !plain.MatchString(p.name) {
			return out, fmt.Errorf("Code: 115. DB::Exception: Unknown setting '%s' (UNKNOWN_SETTING)", p.name)
		}
		set = append(set, p.name+"="+literal(p.value))
		reset = append(reset, p.name+"=DEFAULT")
	}
	if len(set) > 0 {
		if _, err := s.run("SET "+strings.Join(set, ", "), "Null"); err != nil {
			return out, err
		}
		defer func() {
			_, rerr := s.run("SET "+strings.Join(reset, ", "), "Null")
			err = errors.Join(err, rerr)
		}()
	}
	database := c.database
	if database == "" {
		database = "default"
	}
	if _, err := s.run("USE `"+strings.ReplaceAll(database, "`", "\\`")+"`", "Null"); err != nil {
		return out, err
	}
	if c.hasBody {
		if m := insertion.FindStringSubmatch(c.query); m != nil {
			return s.stream(m[1], m[2], c.body.Read, io.EOF)
		}
	}
	return s.run(c.query, c.format, c.parameters...)
}

// insertion is a statement whose data is in the body: what comes before its
// format, and the format.
var insertion = regexp.MustCompile(`(?is)^\s*(INSERT\s.*?)\s+FORMAT\s+([A-Za-z0-9]+)\s*;?\s*$`)

func literal(value string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(value) + "'"
}

// answer writes a result.
func answer(w http.ResponseWriter, r *http.Request, c *call, out result) {
	h := w.Header()
	h.Set("X-ClickHouse-Summary", fmt.Sprintf(`{"read_rows":"%d","written_rows":"%d"}`, out.read, out.written))
	h.Set("X-ClickHouse-Query-Id", uuid.NewString())
	h.Set("X-ClickHouse-Timezone", "UTC")
	h.Set("X-ClickHouse-Format", c.format)
	h.Set("Content-Type", "application/octet-stream")
	data := out.data
	if c.compress && len(data) > 0 {
		z := compress.NewWriter(compress.LevelZero, compress.LZ4)
		if err := z.Compress(data); err != nil {
			fail(w, err)
			return
		}
		data = z.Data
	}
	if r.URL.Query().Get("enable_http_compression") == "1" && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, err := z.Write(data)
		if err := errors.Join(err, z.Close()); err != nil {
			fail(w, err)
			return
		}
		data = b.Bytes()
	}
	_, _ = w.Write(data)
}

// code finds ClickHouse's number for an error in its text.
var code = regexp.MustCompile(`Code: (\d+)\.`)

// fail answers with an error, as the server does.
func fail(w http.ResponseWriter, err error) {
	number := "1002"
	if m := code.FindStringSubmatch(err.Error()); m != nil {
		number = m[1]
	}
	status := http.StatusInternalServerError
	switch n, _ := strconv.Atoi(number); n {
	case 60, 81:
		status = http.StatusNotFound
	case 62, 36, 47, 115:
		status = http.StatusBadRequest
	}
	w.Header().Set("X-ClickHouse-Exception-Code", number)
	w.WriteHeader(status)
	_, _ = io.WriteString(w, err.Error()+"\n")
}
