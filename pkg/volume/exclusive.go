package volume

import (
	"errors"
	"io"
	"os"
	"path/filepath"
)

// ErrHeld is returned by Exclusive while another process, or another user of this one, holds the name.
var ErrHeld = errors.New("held by another process")

// Exclusive takes a name for work that one process at a time is to do on a volume, until the result is closed or the process
// ends, however it ends. The name is that of a file in the volume; it begins with a dot, and the file stays. Where a shared
// file system doesn't share its locks, each machine may hold the name.
func (v *Volume) Exclusive(name string) (io.Closer, error) {
	f, err := os.OpenFile(filepath.Join(v.o.Dir, name), os.O_CREATE|os.O_RDWR, fileMode)
	if err != nil {
		return nil, err
	}
	if err := lockFile(f); err != nil {
		_ = f.Close()
		if errors.Is(err, errLocked) {
			return nil, ErrHeld
		}
		return nil, &os.PathError{Op: "lock", Path: f.Name(), Err: err}
	}
	return f, nil
}
