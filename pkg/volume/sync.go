package volume

import (
	"errors"
	"os"
	"sync"
)

// syncer makes changes durable.
type syncer interface {
	// contents does so for staged entries and the files in them.
	contents([]*Entry) error
	// names does so for what was added to directories.
	names(dirs []string) error
	close() error
}

// eachFile syncs every file and directory by itself, several at a time.
type eachFile struct{}

// syncsAtOnce is how many fsync calls may run at once: enough for a journal to group them, and it bounds open files.
const syncsAtOnce = 32

func (eachFile) contents(entries []*Entry) error {
	var names []string
	for _, e := range entries {
		names = append(append(names, e.files...), e.staged)
	}
	return syncAll(names)
}

func (eachFile) names(dirs []string) error { return syncAll(dirs) }

func (eachFile) close() error { return nil }

func syncAll(names []string) error {
	queue := make(chan string)
	errs := make([]error, min(syncsAtOnce, len(names)))
	var running sync.WaitGroup
	for i := range errs {
		running.Go(func() {
			for name := range queue {
				errs[i] = errors.Join(errs[i], syncOne(name))
			}
		})
	}
	for _, name := range names {
		queue <- name
	}
	close(queue)
	running.Wait()
	return errors.Join(errs...)
}

func syncOne(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
