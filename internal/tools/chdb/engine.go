package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"github.com/ebitengine/purego"
	"golang.org/x/sys/unix"
)

// engine is libchdb (its C header is programs/local/chdb.h of chdb-core 26.7).
// One process has one, on one path.
type engine struct {
	connect        func(argc int32, argv unsafe.Pointer) uintptr
	closeConn      func(conn uintptr)
	query          func(conn uintptr, sql unsafe.Pointer, n uintptr, format unsafe.Pointer, m uintptr, names, nameLens, values, valueLens unsafe.Pointer, count uintptr) uintptr
	insert         func(conn uintptr, sql unsafe.Pointer, n uintptr, format unsafe.Pointer, m uintptr) uintptr
	insertError    func(stream uintptr) string
	appendData     func(stream uintptr, data unsafe.Pointer, n uintptr) int32
	insertDone     func(stream uintptr) uintptr
	destroyInsert  func(stream uintptr)
	resultError    func(result uintptr) string
	resultBuffer   func(result uintptr) unsafe.Pointer
	resultLength   func(result uintptr) uintptr
	resultRead     func(result uintptr) uint64
	resultWritten  func(result uintptr) uint64
	destroyResult  func(result uintptr)
	signalHandlers func(enabled int32)
}

// load opens the library.
func load(path string) (*engine, error) {
	lib, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, fmt.Errorf("cannot load %s: %w", path, err)
	}
	e := &engine{}
	for name, f := range map[string]any{
		"chdb_connect": &e.connect, "chdb_close_conn": &e.closeConn, "chdb_query_with_params_n": &e.query,
		"chdb_stream_insert_n": &e.insert, "chdb_stream_insert_error": &e.insertError, "chdb_stream_append": &e.appendData,
		"chdb_stream_done": &e.insertDone, "chdb_destroy_insert_stream": &e.destroyInsert,
		"chdb_result_error": &e.resultError, "chdb_result_buffer": &e.resultBuffer, "chdb_result_length": &e.resultLength,
		"chdb_result_storage_rows_read": &e.resultRead, "chdb_result_rows_written": &e.resultWritten,
		"chdb_destroy_query_result": &e.destroyResult, "chdb_set_signal_handlers_enabled": &e.signalHandlers,
	} {
		purego.RegisterLibFunc(f, lib, name)
	}
	return e, nil
}

// session is a connection: it runs one statement at a time.
type session struct {
	e      *engine
	handle uintptr // of chdb_connect
}

// open starts the engine on a directory and gives n sessions. The signal
// handlers stay Go's: the engine would install its own.
func (e *engine) open(dir string, n int) ([]*session, error) {
	handlers := saveHandlers()
	e.signalHandlers(0)
	defer restoreHandlers(handlers)
	sessions := make([]*session, n)
	for i := range sessions {
		args := [][]byte{[]byte("clickhouse\x00"), []byte("--path=" + dir + "\x00")}
		argv := []unsafe.Pointer{unsafe.Pointer(&args[0][0]), unsafe.Pointer(&args[1][0])}
		handle := e.connect(int32(len(argv)), unsafe.Pointer(&argv[0]))
		runtime.KeepAlive(args)
		if handle == 0 {
			return nil, errors.New("cannot start the engine on " + dir + "; another process may have it open")
		}
		sessions[i] = &session{e, handle}
	}
	return sessions, nil
}

func (s *session) close() { s.e.closeConn(s.handle) }

// conn is what statements are run on: the handle points to it.
func (s *session) conn() uintptr {
	return *(*uintptr)(*(*unsafe.Pointer)(unsafe.Pointer(&s.handle)))
}

// result is what a statement gave.
type result struct {
	data          []byte
	read, written uint64
}

// parameter is a value for {name:Type} in a statement, in ClickHouse's escaped
// form.
type parameter struct{ name, value string }

// run runs a statement. The result's data is a copy.
func (s *session) run(sql, format string, parameters ...parameter) (result, error) {
	text, form := cBytes(sql), cBytes(format)
	n := len(parameters)
	names, values := make([][]byte, n), make([][]byte, n)
	nameAt, valueAt := make([]unsafe.Pointer, n+1), make([]unsafe.Pointer, n+1)
	nameLen, valueLen := make([]uintptr, n+1), make([]uintptr, n+1)
	for i, p := range parameters {
		names[i], values[i] = cBytes(p.name), cBytes(p.value)
		nameAt[i], valueAt[i] = unsafe.Pointer(&names[i][0]), unsafe.Pointer(&values[i][0])
		nameLen[i], valueLen[i] = uintptr(len(p.name)), uintptr(len(p.value))
	}
	r := s.e.query(s.conn(), unsafe.Pointer(&text[0]), uintptr(len(sql)), unsafe.Pointer(&form[0]), uintptr(len(format)),
		unsafe.Pointer(&nameAt[0]), unsafe.Pointer(&nameLen[0]), unsafe.Pointer(&valueAt[0]), unsafe.Pointer(&valueLen[0]), uintptr(n))
	runtime.KeepAlive([]any{text, form, names, values, nameAt, valueAt, nameLen, valueLen})
	return s.e.take(r)
}

// cBytes is a string as C has it; never empty, so that it has an address.
func cBytes(s string) []byte { return append([]byte(s), 0) }

// take copies a result and destroys it.
func (e *engine) take(r uintptr) (result, error) {
	if r == 0 {
		return result{}, errors.New("Code: 49. DB::Exception: the engine gave no result (LOGICAL_ERROR)")
	}
	defer e.destroyResult(r)
	if message := e.resultError(r); message != "" {
		return result{}, errors.New(message)
	}
	out := result{read: e.resultRead(r), written: e.resultWritten(r)}
	if n := e.resultLength(r); n > 0 {
		out.data = append(out.data, unsafe.Slice((*byte)(e.resultBuffer(r)), n)...)
	}
	return out, nil
}

// stream inserts data in a format, as it comes from read until io.EOF.
func (s *session) stream(sql, format string, read func(p []byte) (int, error), end error) (result, error) {
	text, form := cBytes(sql), cBytes(format)
	in := s.e.insert(s.conn(), unsafe.Pointer(&text[0]), uintptr(len(sql)), unsafe.Pointer(&form[0]), uintptr(len(format)))
	runtime.KeepAlive([]any{text, form})
	defer s.e.destroyInsert(in)
	if message := s.e.insertError(in); message != "" {
		return result{}, errors.New(message)
	}
	buf := make([]byte, 1<<20)
	for {
		n, err := read(buf)
		if n > 0 && s.e.appendData(in, unsafe.Pointer(&buf[0]), uintptr(n)) != 0 {
			break // done tells why
		}
		if errors.Is(err, end) {
			break
		}
		if err != nil {
			return result{}, fmt.Errorf("Code: 209. DB::Exception: the body was cut: %w (SOCKET_TIMEOUT)", err)
		}
	}
	return s.e.take(s.e.insertDone(in))
}

// sigaction is the kernel's struct: handler, flags, restorer, mask.
type sigaction [4]uint64

const signals = 64

// saveHandlers reads the table of signal handlers.
func saveHandlers() (all [signals + 1]sigaction) {
	for n := 1; n <= signals; n++ {
		_, _, _ = unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(n), 0, uintptr(unsafe.Pointer(&all[n])), 8, 0, 0)
	}
	return all
}

// restoreHandlers writes it back.
func restoreHandlers(all [signals + 1]sigaction) {
	for n := 1; n <= signals; n++ {
		if n != int(unix.SIGKILL) && n != int(unix.SIGSTOP) {
			_, _, _ = unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(n), uintptr(unsafe.Pointer(&all[n])), 0, 8, 0, 0)
		}
	}
}

// exists reports whether there is a file.
func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
