package pace

import "sync"

// Fair is a lock for work that takes a core for a while. Those who wait for it get
// it by turns of their names: who asks for it once waits for one turn of each
// other name, however often those ask. The zero value is ready. It is safe for
// concurrent use.
type Fair struct {
	mu    sync.Mutex
	held  bool
	waits map[string][]chan struct{} // of each name that waits, in the order of asking
	order []string                   // of the names that wait, whose turn is next first
}

// Lock takes the lock as name.
func (f *Fair) Lock(name string) {
	f.mu.Lock()
	if !f.held {
		f.held = true
		f.mu.Unlock()
		return
	}
	turn := make(chan struct{})
	if len(f.waits[name]) == 0 {
		f.order = append(f.order, name)
	}
	if f.waits == nil {
		f.waits = map[string][]chan struct{}{}
	}
	f.waits[name] = append(f.waits[name], turn)
	f.mu.Unlock()
	<-turn
}

// Unlock gives the lock to the next, or back.
func (f *Fair) Unlock() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.order) == 0 {
		f.held = false
		return
	}
	name := f.order[0]
	f.order = f.order[1:]
	turn := f.waits[name][0]
	if f.waits[name] = f.waits[name][1:]; len(f.waits[name]) > 0 {
		f.order = append(f.order, name)
	} else {
		delete(f.waits, name)
	}
	close(turn)
}
