package durable

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Sync brings a file or a directory to the disk (fsync(2)). It waits without
// standing in the way: a thread in fsync(2) keeps its place among Go's
// processors until the runtime's monitor takes it away, up to 10 ms later, and
// on one core nothing else runs meanwhile (benchmarks/NOTES.md). So the kernel is
// asked to do it by itself, and the goroutine waits for its word as for a socket.
func Sync(f *os.File) error { return carryOut(f, opFsync, f.Sync) }

// SyncData brings a file's content to the disk, and of the rest what is needed
// to find it again (fdatasync(2)); otherwise it is Sync.
func SyncData(f *os.File) error { return carryOut(f, opFdsync, f.Sync) }

// Operations of io_submit(2), by linux/aio_abi.h.
const (
	opFsync  = 2
	opFdsync = 3
)

// errNotTaken is an operation that the kernel has not begun: it, or a sandbox,
// has no io_submit(2), or not for this file.
var errNotTaken = errors.New("operation was not taken")

func carryOut(f *os.File, op uint16, otherwise func() error) error {
	q, err := take()
	if err == nil {
		err = q.do(f, op)
		q.give(err)
	}
	if errors.Is(err, errNotTaken) {
		return otherwise()
	}
	return err
}

// queue is a context of the kernel's that takes one operation at a time.
type queue struct {
	context uintptr
	done    *os.File // an eventfd: readable when the operation is over
	request control  // the kernel knows it by its address
}

// control is struct iocb, result struct io_event (linux/aio_abi.h, on a machine
// with little-endian numbers).
type control struct {
	_       uint64 // data
	_, _    uint32 // key, flags
	op      uint16
	_       int16 // priority
	fd      uint32
	_       [4]uint64 // buffer, its length, offset, reserved
	options uint32
	eventfd uint32
}

type result struct {
	_, _    uint64 // data, object
	outcome int64  // an errno if it is negative
	_       int64
}

const optionEventfd = 1 // IOCB_FLAG_RESFD

// idle are the queues that nobody uses.
var idle = make(chan *queue, 4)

// take gives a queue, for one operation.
func take() (*queue, error) {
	select {
	case q := <-idle:
		return q, nil
	default:
	}
	q := &queue{}
	if _, _, errno := unix.Syscall(unix.SYS_IO_SETUP, 1, uintptr(unsafe.Pointer(&q.context)), 0); errno != 0 { //nolint:gosec // the kernel takes addresses
		return nil, errNotTaken
	}
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		q.destroy()
		return nil, errNotTaken
	}
	q.done = os.NewFile(uintptr(fd), "eventfd")
	return q, nil
}

// give takes a queue back, unless it is not known how its operation ended.
func (q *queue) give(failed error) {
	if failed == nil {
		select {
		case idle <- q:
			return
		default:
		}
	}
	q.destroy()
	_ = q.done.Close()
}

// destroy waits for what is under way.
func (q *queue) destroy() { _, _, _ = unix.Syscall(unix.SYS_IO_DESTROY, q.context, 0, 0) }

// do has the kernel carry out an operation on a file, and waits.
func (q *queue) do(f *os.File, op uint16) error {
	file, err := f.SyscallConn()
	submitted := errNotTaken // as for a closed file
	if err == nil {
		_ = file.Control(func(fd uintptr) { submitted = q.submit(fd, op) })
	}
	if submitted != nil {
		return submitted
	}
	var times [8]byte
	if _, err := q.done.Read(times[:]); err != nil {
		return fmt.Errorf("cannot wait for %s to be on the disk: %w", f.Name(), err)
	}
	return q.outcome(f)
}

func (q *queue) submit(fd uintptr, op uint16) error {
	done, err := q.done.SyscallConn()
	if err != nil {
		return err
	}
	taken := uintptr(0)
	err = done.Control(func(done uintptr) {
		q.request = control{op: op, fd: uint32(fd), options: optionEventfd, eventfd: uint32(done)} //nolint:gosec // descriptors are small
		requests := &q.request
		taken, _, _ = unix.Syscall(unix.SYS_IO_SUBMIT, q.context, 1, uintptr(unsafe.Pointer(&requests))) //nolint:gosec // see take
	})
	if err == nil && taken != 1 {
		err = errNotTaken
	}
	return err
}

// outcome is what the operation came to; it is over.
func (q *queue) outcome(f *os.File) error {
	var r result
	var none unix.Timespec
	n, _, errno := unix.Syscall6(unix.SYS_IO_GETEVENTS, q.context, 1, 1, uintptr(unsafe.Pointer(&r)), uintptr(unsafe.Pointer(&none)), 0) //nolint:gosec // see take
	if n != 1 {
		return fmt.Errorf("cannot learn whether %s is on the disk: %w", f.Name(), errno)
	}
	if r.outcome < 0 {
		return &os.PathError{Op: "sync", Path: f.Name(), Err: unix.Errno(-r.outcome)}
	}
	return nil
}
