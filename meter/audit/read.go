package audit

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/ownkey/ownkey/meter"
)

// maxLineBytes is more than any line of either log: a batch of 64 unseals takes
// Vault 30 KB.
const maxLineBytes = 16 << 20

// eachLine calls f for every line. A log that is being written ends in zeros,
// or in half a line: only a bad line that another one follows is an error.
func eachLine(r io.Reader, f func(line []byte) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 64<<10), maxLineBytes)
	var bad error
	for number := 1; lines.Scan(); number++ {
		line := bytes.TrimSpace(bytes.Trim(lines.Bytes(), "\x00"))
		if len(line) == 0 {
			continue
		}
		if bad != nil {
			return bad
		}
		if err := f(line); errors.Is(err, errNotJSON) {
			bad = fmt.Errorf("line %d: %w", number, err)
		} else if err != nil {
			return err
		}
	}
	return lines.Err()
}

// errNotJSON is a line that is none of the log's.
var errNotJSON = errors.New("not a JSON object")

// AddRecords reads a log of records.
func (b *Books) AddRecords(r io.Reader) error {
	err := eachLine(r, func(line []byte) error {
		var l struct {
			Message    string    `json:"message"`
			Started    time.Time `json:"started_at"` // of a request
			At         time.Time `json:"at"`         // of an unseal
			RequestID  string    `json:"request_id"`
			Tenant     string    `json:"tenant"`
			Credential string    `json:"credential"`
			Unseal     string    `json:"unseal"`
			Hedge      bool      `json:"hedge"`
		}
		if err := json.Unmarshal(line, &l); err != nil {
			return errNotJSON
		}
		switch {
		case l.Message == meter.MessageUnseal:
			return b.about(l.Unseal, kindAsked, b.place(), &asked{l.Tenant, l.At, l.Hedge})
		case l.Message == meter.MessageRequest && l.Credential != "" && b.window.holds(l.Started):
			b.report.Requests++
			return b.about(l.Unseal, kindRequest, b.place(), &Request{l.RequestID, l.Started, l.Tenant, l.Unseal})
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("cannot read records: %w", err)
	}
	return nil
}

// vaultLine is what we need of a line of Vault's audit log (HashiCorp Vault
// documentation, "Audit device schema").
type vaultLine struct {
	Type  string    `json:"type"`
	Time  time.Time `json:"time"`
	Error string    `json:"error"`
	Auth  struct {
		DisplayName string `json:"display_name"`
		Accessor    string `json:"accessor"`
	} `json:"auth"`
	Request struct {
		ID            string              `json:"id"`
		Path          string              `json:"path"`
		RemoteAddress string              `json:"remote_address"`
		Headers       map[string][]string `json:"headers"`
		Data          struct {
			Batch []json.RawMessage `json:"batch_input"`
		} `json:"data"`
	} `json:"request"`
}

// AddVaultLog reads an audit log of Vault's.
func (b *Books) AddVaultLog(r io.Reader) error {
	path := []byte(b.prefix)
	lines, entries := false, false
	err := eachLine(r, func(line []byte) error {
		if lines = true; !entries {
			entries = isEntry(line)
		}
		if !bytes.Contains(line, path) {
			return nil // most lines of a busy Vault
		}
		var l vaultLine
		if err := json.Unmarshal(line, &l); err != nil {
			return errNotJSON
		}
		if tenant, ok := strings.CutPrefix(l.Request.Path, b.prefix); ok && l.Type == "response" {
			return b.addCall(&l, tenant[strings.LastIndexByte(tenant, '.')+1:]) // behind the installation, if the key's name has one
		}
		return nil
	})
	if err == nil && lines && !entries {
		err = errNotAudit
	}
	if err != nil {
		return fmt.Errorf("cannot read Vault's audit log: %w", err)
	}
	return nil
}

// errNotAudit is a file without one entry: with it, all that we did would seem to
// have happened behind Vault's back.
var errNotAudit = errors.New("it is none: no line is an entry with type, time and request; give the file that vault audit enable file file_path=… names")

// isEntry reports whether a line is an entry of an audit log.
func isEntry(line []byte) bool {
	var l vaultLine
	return json.Unmarshal(line, &l) == nil && (l.Type == "request" || l.Type == "response") && !l.Time.IsZero() && l.Request.Path != ""
}

const (
	header    = "ownkey-unseal-id"
	hedgeMark = "hedge"
)

// unsealIDs reads our header from a line. A log that hashes it holds none.
func unsealIDs(headers map[string][]string) (ids []string, hedge bool) {
	for _, value := range headers[header] {
		for id := range strings.SplitSeq(value, ",") {
			if id = strings.TrimSpace(id); id == hedgeMark {
				hedge = true
			} else if id != "" {
				ids = append(ids, id)
			}
		}
	}
	return ids, hedge
}
