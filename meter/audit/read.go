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
		if err := f(line); err != nil {
			bad = fmt.Errorf("line %d: %w", number, err)
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
		at := l.Started
		if l.Message == meter.MessageUnseal {
			at = l.At
		}
		switch {
		case l.Message == meter.MessageUnseal:
			u := b.known(l.Unseal)
			if u.tenant = l.Tenant; u.at.IsZero() || at.Before(u.at) {
				u.at = at
			}
			if at.After(u.last) {
				u.last = at
			}
			u.mayHedge = u.mayHedge || l.Hedge
		case l.Message == meter.MessageRequest && l.Credential != "" && b.window.holds(at):
			b.requests = append(b.requests, Request{l.RequestID, at, l.Tenant, l.Unseal})
			if u := b.unseals[l.Unseal]; u != nil {
				u.requests++
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("cannot read records: %w", err)
	}
	return nil
}

func (b *Books) known(id string) *unseal {
	u := b.unseals[id]
	if u == nil {
		u = &unseal{}
		b.unseals[id] = u
	}
	return u
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

// AddVaultLog reads an audit log of Vault's and judges the decrypts in it. All
// records must have been read before.
func (b *Books) AddVaultLog(r io.Reader) error {
	path := []byte(b.prefix)
	err := eachLine(r, func(line []byte) error {
		if !bytes.Contains(line, path) {
			return nil // most lines of a busy Vault
		}
		var l vaultLine
		if err := json.Unmarshal(line, &l); err != nil {
			return errNotJSON
		}
		if tenant, ok := strings.CutPrefix(l.Request.Path, b.prefix); ok && l.Type == "response" {
			b.judge(&l, tenant[strings.LastIndexByte(tenant, '.')+1:]) // behind the installation, if the key's name has one
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("cannot read Vault's audit log: %w", err)
	}
	return nil
}

const (
	header    = "ownkey-unseal-id"
	hedgeMark = "hedge"
)

// judge compares one decrypt call with what our records know. A call that
// stands in two files (two audit devices, or one file given twice) is one.
func (b *Books) judge(l *vaultLine, tenant string) {
	if b.seen[l.Request.ID] {
		return
	}
	b.seen[l.Request.ID] = true
	in := b.window.holds(l.Time)
	ids, hedge := unsealIDs(l.Request.Headers)
	if l.Error != "" {
		if in {
			b.report.Refused++
		}
		for _, id := range ids {
			if u := b.unseals[id]; u != nil && u.tenant == tenant {
				u.spend(hedge)
			}
		}
		return
	}
	if in {
		b.report.Calls++
	}
	blame := func(id, why string) {
		if in {
			b.report.Foreign = append(b.report.Foreign, Foreign{
				l.Time, why, tenant, id, l.Request.RemoteAddress, l.Auth.DisplayName, l.Auth.Accessor, l.Request.ID,
			})
		}
	}
	for _, id := range ids {
		u := b.unseals[id]
		switch {
		case u == nil:
			blame(id, "its unseal id is not in our records")
			continue
		case u.tenant != tenant:
			blame(id, "its unseal id is ours, but of tenant "+u.tenant)
			continue
		case hedge && !u.mayHedge:
			blame(id, "its unseal id is ours, but marked as a second call that we did not make")
			continue
		case !u.asking(l.Time):
			blame(id, "its unseal id is ours, but was used at another time than we asked")
			continue
		case u.spent(hedge):
			blame(id, "its unseal id is ours, and Vault had refused it before: we do not ask again")
			continue
		case hedge:
			u.hedges++
		default:
			u.calls++
		}
		if u.calls > 1 || u.hedges > 1 {
			blame(id, "its unseal id is ours, and was used again")
			continue
		}
		u.inWindow = u.inWindow || in
	}
	for range max(1, len(l.Request.Data.Batch)) - len(ids) {
		blame("", "it carries no unseal id")
	}
}

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
