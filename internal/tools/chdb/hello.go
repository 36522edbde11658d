package main

import (
	"fmt"
	"strings"

	"github.com/ClickHouse/ch-go/proto"
)

// helloQuery is how clickhouse-go greets a server over HTTP.
const helloQuery = "SELECT displayName(), version(), revision(), timezone()"

// helloRevision is the protocol that it expects the answer in
// (client_protocol_version of clickhouse-go 2.50).
const helloRevision = 54460

func isHello(query string) bool { return strings.TrimSpace(query) == helloQuery }

// hello makes the answer by hand: the driver reads this one block with block
// info, which the engine does not write, and takes from it that the server's
// revision is 0, so that every later block is plain.
func (h *handler) hello() ([]byte, error) {
	s := <-h.sessions
	out, err := s.run("SELECT version()", "TabSeparated")
	h.sessions <- s
	if err != nil {
		return nil, err
	}
	text := func(v string) *proto.ColStr {
		c := new(proto.ColStr)
		c.Append(v)
		return c
	}
	revision := proto.ColUInt32{0}
	input := proto.Input{
		{Name: "displayName()", Data: text("chdb")},
		{Name: "version()", Data: text(strings.TrimSpace(string(out.data)))},
		{Name: "revision()", Data: &revision},
		{Name: "timezone()", Data: text("UTC")},
	}
	var b proto.Buffer
	if err := (proto.Block{Columns: len(input), Rows: 1}).EncodeBlock(&b, helloRevision, input); err != nil {
		return nil, fmt.Errorf("cannot encode hello: %w", err)
	}
	return b.Buf, nil
}
