package load

import (
	"container/heap"
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// loop waits for many sockets and for moments, on one thread. One system call
// finds what is ready, so that the load costs as little as it can of a machine
// that it shares with what is measured.
type loop struct {
	epoll  int
	began  time.Time
	socks  map[int32]socket
	alarms alarms
	ready  [256]unix.EpollEvent
}

// socket is told when it can be read or written, or is closed by the peer.
type socket interface{ wake(events uint32) }

// alarm is told when its moment has come.
type alarm interface{ ring() }

func newLoop() (*loop, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("cannot make an epoll: %w", err)
	}
	return &loop{epoll: fd, began: time.Now(), socks: map[int32]socket{}}, nil
}

// now is the loop's clock, in nanoseconds; it never goes back.
func (l *loop) now() int64 { return int64(time.Since(l.began)) }

// watch tells s of what happens on fd.
func (l *loop) watch(fd int, s socket) error {
	l.socks[int32(fd)] = s
	return l.control(unix.EPOLL_CTL_ADD, fd, unix.EPOLLIN|unix.EPOLLRDHUP)
}

// writing turns on or off that a socket is told when it can be written.
func (l *loop) writing(fd int, on bool) error {
	events := uint32(unix.EPOLLIN | unix.EPOLLRDHUP)
	if on {
		events |= unix.EPOLLOUT
	}
	return l.control(unix.EPOLL_CTL_MOD, fd, events)
}

func (l *loop) control(op, fd int, events uint32) error {
	err := unix.EpollCtl(l.epoll, op, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
	if err != nil {
		return fmt.Errorf("cannot watch a socket: %w", err)
	}
	return nil
}

// drop closes a socket.
func (l *loop) drop(fd int) {
	delete(l.socks, int32(fd))
	_ = unix.Close(fd)
}

// at rings an alarm at a moment of the loop's clock.
func (l *loop) at(moment int64, a alarm) { heap.Push(&l.alarms, due{moment, a}) }

// run goes round until done says so.
func (l *loop) run(done func() bool) error {
	for !done() {
		n, err := l.wait()
		if err != nil {
			return err
		}
		for _, e := range l.ready[:n] {
			if s := l.socks[e.Fd]; s != nil { // it may have been dropped meanwhile
				s.wake(e.Events)
			}
		}
		for len(l.alarms) > 0 && l.alarms[0].moment <= l.now() {
			heap.Pop(&l.alarms).(due).alarm.ring() //nolint:forcetypeassert // only at pushes
		}
	}
	return nil
}

// wait waits for sockets, or until the next alarm is due. It asks for
// nanoseconds (epoll_pwait2, Linux 5.11): whoever spends the last millisecond
// looking leaves nothing of its core to the servers that it shares it with.
func (l *loop) wait() (n int, err error) {
	const most = int64(10 * time.Millisecond)
	left := most
	if len(l.alarms) > 0 {
		left = max(0, min(most, l.alarms[0].moment-l.now()))
	}
	timeout := unix.NsecToTimespec(left)
	ready, _, failed := unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(l.epoll), uintptr(unsafe.Pointer(&l.ready[0])), uintptr(len(l.ready)),
		uintptr(unsafe.Pointer(&timeout)), 0, 0)
	switch failed {
	case 0:
		return int(ready), nil
	case unix.EINTR:
		return 0, nil
	}
	return 0, fmt.Errorf("cannot wait for sockets: %w", failed)
}

type due struct {
	moment int64
	alarm  alarm
}

// alarms is a heap, the next one first.
type alarms []due

func (a alarms) Len() int           { return len(a) }
func (a alarms) Less(i, j int) bool { return a[i].moment < a[j].moment }
func (a alarms) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *alarms) Push(d any)        { *a = append(*a, d.(due)) } //nolint:forcetypeassert // see at
func (a *alarms) Pop() any {
	old := *a
	last := old[len(old)-1]
	*a = old[:len(old)-1]
	return last
}
