package volume

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// mount mounts a file system of the given size in memory. It takes a privileged user; the tests are run as one.
func mount(t *testing.T, dir, size string) {
	t.Helper()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Fatalf("mount a tmpfs on %s: %v; this test must be run by root, with CAP_SYS_ADMIN", dir, err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
}

func remount(t *testing.T, dir string, flags uintptr, size string) {
	t.Helper()
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT|flags, "size="+size); err != nil {
		t.Fatal(err)
	}
}

func TestDiskFull(t *testing.T) {
	each(t, func(t *testing.T, o Options) {
		mount(t, o.Dir, "1m")
		v := open(t, o)
		begin(t, v)
		if _, err := v.Stage("x/1", File{"a", make([]byte, 2<<20)}); !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("Stage of more than fits: %v, want %v", err, syscall.ENOSPC)
		}
		if err := v.Abort(); err != nil {
			t.Fatal(err)
		}
		if got := tree(t, o.Dir); len(got) != 1 {
			t.Errorf("a failed group has left %v", got)
		}
		remount(t, o.Dir, 0, "8m")
		begin(t, v)
		e, err := v.Stage("x/1", File{"a", make([]byte, 2<<20)})
		if err != nil {
			t.Fatal(err)
		}
		publish(t, v, e)
	})
}

func TestReadOnly(t *testing.T) {
	each(t, func(t *testing.T, o Options) {
		mount(t, o.Dir, "1m")
		v := open(t, o)
		remount(t, o.Dir, unix.MS_RDONLY, "1m")
		for name, err := range map[string]error{"Check": v.Check(), "Begin": v.Begin()} {
			if !errors.Is(err, syscall.EROFS) || !strings.Contains(err.Error(), o.Dir) {
				t.Errorf("%s: %v, want %v and the directory", name, err, syscall.EROFS)
			}
		}
		if _, err := Open(o); !errors.Is(err, syscall.EROFS) {
			t.Errorf("Open: %v, want %v", err, syscall.EROFS)
		}
		remount(t, o.Dir, 0, "1m")
		begin(t, v)
		publish(t, v, stage(t, v, "x/1", "one"))
	})
}

func TestOpenRefusesTempElsewhere(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, temp), dirMode); err != nil {
		t.Fatal(err)
	}
	mount(t, filepath.Join(dir, temp), "1m")
	if v, err := Open(Options{Dir: dir, Temp: temp}); err == nil || !strings.Contains(err.Error(), "one file system") {
		t.Errorf("Open: %v, %v; want an error that names the two file systems", v, err)
	}
}

func TestAtLeast(t *testing.T) {
	tests := []struct {
		release string
		want    bool
	}{
		{"5.8.0", true}, {"5.7.19", false}, {"5.10.0-28-amd64", true}, {"6.1", true}, {"4.19.0", false},
		{"10.0-rc1", true}, {"", false}, {"x", false},
	}
	for _, test := range tests {
		if got := atLeast(test.release, 5, 8); got != test.want {
			t.Errorf("atLeast(%q, 5, 8) = %v, want %v", test.release, got, test.want)
		}
	}
}

// TestSyncer checks that a tmpfs, where one call is known to do, gets it, and an overlay, which keeps its errors to itself,
// does not.
func TestSyncer(t *testing.T) {
	dir := t.TempDir()
	mount(t, dir, "1m")
	s, err := newSyncer(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if _, ok := s.(wholeSystem); !ok {
		t.Errorf("tmpfs is synced by %T", s)
	}
	if s, err := newSyncer("/proc", false); err != nil || s != (eachFile{}) {
		t.Errorf("an unknown file system is synced by %T, %v", s, err)
	}
}
