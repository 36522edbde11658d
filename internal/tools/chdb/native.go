package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"

	"github.com/ClickHouse/ch-go/compress"
	"github.com/ClickHouse/ch-go/proto"
)

// nativeRevision is the revision of the native protocol that is spoken: the last
// before a secret and fields for a cluster's servers were added. Blocks of it
// are the engine's Native format behind block info.
const nativeRevision = 54440

// serveNative speaks ClickHouse's native protocol, as far as a driver needs it
// to ping, run statements, read results and insert blocks.
func (h *handler) serveNative(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			n := &native{h: h, conn: c, r: proto.NewReader(c)}
			_ = n.serve() // the client has gone, or speaks something else
		}()
	}
}

// native is one connection.
type native struct {
	h        *handler
	conn     net.Conn
	r        *proto.Reader
	out      proto.Buffer
	database string
	compress bool // of the present query
}

func (n *native) flush() error {
	_, err := n.conn.Write(n.out.Buf)
	n.out.Reset()
	return err
}

func (n *native) serve() error {
	if err := n.hello(); err != nil {
		return err
	}
	for {
		code, err := n.r.UVarInt()
		if err != nil {
			return err
		}
		switch proto.ClientCode(code) {
		case proto.ClientCodePing:
			proto.ServerCodePong.Encode(&n.out)
			err = n.flush()
		case proto.ClientCodeQuery:
			err = n.query()
		case proto.ClientCodeCancel:
		default:
			err = fmt.Errorf("packet %d is not spoken", code)
		}
		if err != nil {
			return err
		}
	}
}

func (n *native) hello() error {
	if code, err := n.r.UVarInt(); err != nil || proto.ClientCode(code) != proto.ClientCodeHello {
		return errors.Join(errors.New("no hello"), err)
	}
	var client proto.ClientHello
	if err := client.Decode(n.r); err != nil {
		return err
	}
	n.database = client.Database
	server := proto.ServerHello{Name: "chdb", Major: 26, Minor: 7, Revision: nativeRevision, Timezone: "UTC", DisplayName: "chdb", Patch: 2}
	server.EncodeAware(&n.out, nativeRevision)
	return n.flush()
}

// insertInto is an insertion of blocks: the table and the columns.
var insertInto = regexp.MustCompile(`(?is)^\s*(INSERT\s+INTO\s+(\S+?)\s*\(([^)]*)\))\s*(VALUES|FORMAT\s+Native)?\s*;?\s*$`)

// query runs one query. An error of the engine's is an answer.
func (n *native) query() error {
	var q proto.Query
	if err := q.DecodeAware(n.r, nativeRevision); err != nil {
		return err
	}
	n.compress = q.Compression == proto.CompressionEnabled
	if _, err := n.block(nil); err != nil { // of external tables: none
		return err
	}
	c := &call{query: q.Body, format: "Native", database: n.database}
	for _, s := range q.Settings {
		c.settings = append(c.settings, parameter{s.Key, s.Value})
	}
	for _, p := range q.Parameters {
		c.parameters = append(c.parameters, parameter{p.Key, strings.Trim(p.Value, "'")})
	}
	out, err := n.run(c)
	if n.broken(err) {
		return err
	}
	if err != nil {
		n.exception(err)
		return n.flush()
	}
	if err := n.result(out.data); err != nil {
		return err
	}
	proto.ServerCodeProgress.Encode(&n.out)
	proto.Progress{Rows: out.read, WroteRows: out.written}.EncodeAware(&n.out, nativeRevision)
	proto.ServerCodeEndOfStream.Encode(&n.out)
	return n.flush()
}

// lost is an error of the connection, after which nothing can be said.
type lost struct{ error }

func (n *native) broken(err error) bool {
	var l lost
	return errors.As(err, &l)
}

func (n *native) run(c *call) (result, error) {
	m := insertInto.FindStringSubmatch(c.query)
	if m == nil {
		return n.h.run(c)
	}
	if err := n.header(c, m[2], m[3]); err != nil {
		return result{}, err
	}
	var data bytes.Buffer
	for {
		rows, err := n.block(&data)
		if err != nil {
			return result{}, lost{err}
		}
		if rows == 0 {
			break
		}
	}
	c.query, c.body, c.hasBody = m[1]+" FORMAT Native", &data, true
	return n.h.run(c)
}

// header tells the client the columns of an insertion: a block without rows.
func (n *native) header(c *call, table, columns string) error {
	describe := *c
	describe.query, describe.format = "DESCRIBE (SELECT "+columns+" FROM "+table+")", "TabSeparatedRaw"
	described, err := n.h.run(&describe)
	if err != nil {
		return err
	}
	lines := strings.Split(strings.TrimSuffix(string(described.data), "\n"), "\n")
	var b proto.Buffer
	proto.BlockInfo{BucketNum: -1}.Encode(&b)
	b.PutInt(len(lines))
	b.PutInt(0)
	for _, line := range lines {
		field := strings.SplitN(line, "\t", 3)
		b.PutString(field[0])
		b.PutString(field[1])
	}
	if err := n.data(b.Buf); err != nil {
		return err
	}
	return n.flush()
}

// block reads a Data packet of the client's and appends its block to to, as the
// engine's format has it.
func (n *native) block(to *bytes.Buffer) (rows int, err error) {
	code, err := n.r.UVarInt()
	if err != nil || proto.ClientCode(code) != proto.ClientCodeData {
		return 0, errors.Join(fmt.Errorf("packet %d in place of data", code), err)
	}
	var head proto.ClientData
	if err := head.DecodeAware(n.r, nativeRevision); err != nil {
		return 0, err
	}
	if n.compress {
		n.r.EnableCompression()
		defer n.r.DisableCompression()
	}
	var columns proto.Results
	var b proto.Block
	if err := b.DecodeBlock(n.r, nativeRevision, columns.Auto()); err != nil || b.End() || to == nil {
		return 0, err
	}
	return b.Rows, encode(to, b, columns)
}

// encode appends a decoded block in the engine's own revision.
func encode(to *bytes.Buffer, b proto.Block, columns proto.Results) error {
	input := make(proto.Input, len(columns))
	for i, c := range columns {
		data, ok := c.Data.(proto.ColInput)
		if a, auto := c.Data.(*proto.ColAuto); auto {
			data, ok = a.Data, true
		}
		if !ok {
			return fmt.Errorf("column %s of type %T can not be sent on", c.Name, c.Data)
		}
		input[i] = proto.InputColumn{Name: c.Name, Data: data}
	}
	var buf proto.Buffer
	if err := (proto.Block{Columns: b.Columns, Rows: b.Rows}).EncodeRawBlock(&buf, 0, input); err != nil {
		return err
	}
	_, err := to.Write(buf.Buf)
	return err
}

// result sends the engine's blocks.
func (n *native) result(native []byte) error {
	r := proto.NewReader(bytes.NewReader(native))
	for {
		var columns proto.Results
		var b proto.Block
		err := b.DecodeRawBlock(r, 0, columns.Auto())
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			n.exception(fmt.Errorf("Code: 48. DB::Exception: this double can not send such a result: %w (NOT_IMPLEMENTED)", err))
			return n.flush()
		}
		var block bytes.Buffer
		var info proto.Buffer
		proto.BlockInfo{BucketNum: -1}.Encode(&info)
		block.Write(info.Buf)
		if err := encode(&block, b, columns); err != nil {
			return err
		}
		if err := n.data(block.Bytes()); err != nil {
			return err
		}
	}
}

// data puts a Data packet.
func (n *native) data(block []byte) error {
	proto.ServerCodeData.Encode(&n.out)
	n.out.PutString("") // no table
	if !n.compress {
		n.out.Buf = append(n.out.Buf, block...)
		return nil
	}
	z := compress.NewWriter(compress.LevelZero, compress.LZ4)
	if err := z.Compress(block); err != nil {
		return err
	}
	n.out.Buf = append(n.out.Buf, z.Data...)
	return nil
}

// exception puts an error of the engine's.
func (n *native) exception(err error) {
	number := 1002
	if m := code.FindStringSubmatch(err.Error()); m != nil {
		number, _ = strconv.Atoi(m[1])
	}
	proto.ServerCodeException.Encode(&n.out)
	e := proto.Exception{Code: proto.Error(number), Name: "DB::Exception", Message: err.Error()}
	e.EncodeAware(&n.out, nativeRevision)
}
