package writer

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"

	"github.com/zstats/zstats/pkg/render"
	"github.com/zstats/zstats/pkg/volume"
)

func TestKindOf(t *testing.T) {
	disk := func(err error) error { return fmt.Errorf("stage: %w", &os.PathError{Op: "write", Path: "x", Err: err}) }
	tests := []struct {
		err  error
		want string
	}{
		{disk(syscall.ENOSPC), kindSpace},
		{disk(syscall.EDQUOT), kindSpace},
		{fmt.Errorf("%w on x", volume.ErrReserve), kindSpace},
		{disk(syscall.EROFS), kindReadOnly},
		{disk(syscall.EACCES), kindReadOnly},
		{disk(syscall.EPERM), kindReadOnly},
		{disk(syscall.EIO), kindDisk},
		{errors.New("x"), kindDisk},
		{fmt.Errorf("x: %w", &render.LogError{Err: disk(syscall.ENOSPC)}), kindLog},
	}
	for _, test := range tests {
		if got := kindOf(test.err); got != test.want {
			t.Errorf("kindOf(%v) = %q, want %q", test.err, got, test.want)
		}
	}
}

func TestIsContent(t *testing.T) {
	tests := []struct {
		err  error
		want bool
	}{
		{errors.New("metadata can't be read"), true},
		{&os.PathError{Op: "open", Path: "x", Err: syscall.ENOENT}, true},
		{&os.PathError{Op: "open", Path: "x", Err: syscall.ENOTDIR}, true},
		{&os.PathError{Op: "read", Path: "x", Err: syscall.EIO}, false},
		{&os.PathError{Op: "open", Path: "x", Err: syscall.EACCES}, false},
	}
	for _, test := range tests {
		if got := isContent(test.err); got != test.want {
			t.Errorf("isContent(%v) = %v, want %v", test.err, got, test.want)
		}
	}
}
