package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"
)

// AdminFlags say where the admin plane is. Every admin verb has them.
type AdminFlags struct {
	AdminURL   string `name:"admin-url" env:"OWNKEY_ADMIN_URL" default:"http://127.0.0.1:8081" placeholder:"URL" help:"Address of the admin plane."`
	AdminCA    string `name:"admin-ca-file" env:"OWNKEY_ADMIN_CA_FILE" placeholder:"FILE" help:"Certificate authorities to trust for it in place of the system's, PEM."`
	AdminToken string `name:"admin-token" env:"OWNKEY_ADMIN_TOKEN" placeholder:"TOKEN" help:"Token of the admin plane; better from the environment."`
	JSON       bool   `name:"json" help:"Print the answer as JSON."`
}

// errNothing is of a change that changes nothing.
var errNothing = usageError{errors.New("nothing to change: name what to change as a flag (see --help)")}

const adminTimeout = time.Minute

// call makes an admin call and decodes the answer into out. With --json it
// prints the answer instead, and reports so.
func (f *AdminFlags) call(method, path string, in, out any) (printed bool, err error) {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return false, fmt.Errorf("cannot encode call: %w", err)
		}
		body = bytes.NewReader(b)
	}
	return f.send(method, path, body, out)
}

func (f *AdminFlags) send(method, path string, body io.Reader, out any) (printed bool, err error) {
	answer, err := f.exchange(method, path, body)
	if err != nil {
		return false, err
	}
	if f.JSON && len(answer) > 0 {
		_, err := stdout.Write(answer)
		return true, err
	}
	if out == nil {
		return f.JSON, nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return false, fmt.Errorf("cannot read the admin plane's answer (is it an Ownkey admin plane?): %w", err)
	}
	return false, nil
}

// exchange makes a call and gives the answer as it came.
func (f *AdminFlags) exchange(method, path string, body io.Reader) (answer []byte, err error) {
	err = f.stream(method, path, body, adminTimeout, func(r io.Reader) (err error) {
		answer, err = io.ReadAll(r)
		return err
	})
	return answer, err
}

// stream makes a call and lets read have the answer as it arrives. No limit is
// a limit of zero.
func (f *AdminFlags) stream(method, path string, body io.Reader, limit time.Duration, read func(io.Reader) error) error {
	if f.AdminToken == "" {
		return usageError{errors.New("no admin token; set OWNKEY_ADMIN_TOKEN or --admin-token")}
	}
	if base, err := url.Parse(f.AdminURL); err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" {
		return usageError{fmt.Errorf("--admin-url (OWNKEY_ADMIN_URL) %s: want http://HOST:PORT or https://HOST:PORT, such as http://127.0.0.1:8081", f.AdminURL)}
	}
	request, err := http.NewRequestWithContext(context.Background(), method, strings.TrimRight(f.AdminURL, "/")+"/admin/v1"+path, body)
	if err != nil {
		return fmt.Errorf("cannot make call: %w", err)
	}
	request.Header.Set("Authorization", "Bearer "+f.AdminToken)
	request.Header.Set("Content-Type", "application/json")
	roots, err := readRoots(f.AdminCA)
	if err != nil {
		return fmt.Errorf("cannot use --admin-ca-file: %w", err)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone() //nolint:forcetypeassert // net/http's own
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
	defer transport.CloseIdleConnections()
	client := http.Client{Timeout: limit, Transport: transport}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("cannot reach the admin plane (is it running? see --admin-url): %w", err)
	}
	defer response.Body.Close() //nolint:errcheck // it was read
	if response.StatusCode >= 300 {
		answer, err := io.ReadAll(response.Body)
		return errors.Join(answerError(response.StatusCode, answer), err)
	}
	if err := read(response.Body); err != nil {
		return fmt.Errorf("cannot read the admin plane's answer: %w", err)
	}
	return nil
}

// answerError is the message that the admin plane gave.
func answerError(status int, answer []byte) error {
	var e struct {
		Error struct {
			Message string `json:"message"`
			Code    string `json:"code"`
		} `json:"error"`
	}
	if json.Unmarshal(answer, &e) != nil || e.Error.Message == "" {
		return fmt.Errorf("the admin plane answered with status %d", status)
	}
	return fmt.Errorf("%s (%s)", e.Error.Message, e.Error.Code)
}

// table prints rows in columns.
func table(header string, rows [][]string) error {
	w := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	rows = append([][]string{strings.Fields(header)}, rows...)
	for _, row := range rows {
		for i, cell := range row {
			row[i] = strings.Map(ofCell, cell)
		}
		if _, err := fmt.Fprintln(w, strings.Join(row, "\t")); err != nil {
			return err
		}
	}
	return w.Flush()
}

// ofCell keeps what would end a cell or a line out of it.
func ofCell(r rune) rune {
	if r < ' ' {
		return '\ufffd'
	}
	return r
}

// day is a time as tables show it.
func day(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04")
}
