package ledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"
	"github.com/ownkey/ownkey/internal/durable"
	"golang.org/x/sys/unix"
)

// Identity names a ledger, and one opening of it. No two frames of two processes
// have the same gateway, epoch, file and offset, also where the directory was
// copied or set back.
type Identity struct {
	Gateway uuid.UUID `json:"gateway"`
	Epoch   uint64    `json:"epoch"`
}

const identityFile = "identity.json"

// nextEpoch is above the one before, and no other than at this millisecond has it
// unless clocks were set back.
func nextEpoch(before uint64) uint64 {
	return max(before+1, uint64(time.Now().UnixMilli()))
}

// nextIdentity numbers this opening, durably, before anything is written under
// its number.
func nextIdentity(dir string) (id Identity, err error) {
	path := filepath.Join(dir, identityFile)
	held, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if id.Gateway, err = uuid.NewV7(); err != nil {
			return id, err
		}
	case err != nil:
		return id, err
	default:
		if err := json.Unmarshal(held, &id); err != nil || id.Gateway == uuid.Nil {
			return id, fmt.Errorf("%s is damaged; restore it, or move the directory away", path)
		}
	}
	id.Epoch = nextEpoch(id.Epoch)
	next, err := json.Marshal(id)
	if err != nil {
		return id, err
	}
	return id, durable.WriteFile(path, next)
}

// lockDir keeps other processes out. The lock ends with the process.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(ErrInUse, f.Close())
	}
	return f, nil
}

func (l *Ledger) unlock() error {
	if l.lock == nil {
		return nil
	}
	return l.lock.Close()
}
