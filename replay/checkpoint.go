package replay

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/zstats/zstats/pkg/event"
	"github.com/zstats/zstats/pkg/scrape"
)

// Dir is the directory, in the one that the files go to, with what a replay keeps to go on. No target's directory has such a name.
const Dir = ".replay"

const (
	checkpointFile = "checkpoint.json"
	statesPrefix   = "states-"
	lockName       = "lock"
)

// checkpoint says how far a replay has come. What it covers is durable.
type checkpoint struct {
	Version int `json:"version"`
	request
	Span span `json:"span"`
	// Position is the sequence up to which all is done.
	Position uint64 `json:"position"`
	Done     bool   `json:"done"`
	// States is the name of the file with the states at Position, empty if there are none.
	States string `json:"states,omitempty"`
	Report Report `json:"report"`
}

// request is what a replay was asked for. Only the same request goes on with a checkpoint.
type request struct {
	Source  Source `json:"from"`
	Since   int64  `json:"since_us,omitempty"`
	Until   int64  `json:"until_us,omitempty"`
	Account string `json:"account,omitempty"`
	Target  string `json:"target,omitempty"`
}

const checkpointVersion = 1

func requestOf(o *Options) request {
	r := request{Source: o.Source, Account: o.Account, Target: o.Target}
	if !o.Since.IsZero() {
		r.Since = o.Since.UnixMicro()
	}
	if !o.Until.IsZero() {
		r.Until = o.Until.UnixMicro()
	}
	return r
}

// journal keeps checkpoints in a directory, locked against other replays.
type journal struct {
	dir  string
	lock *os.File
}

// errBusy says that another replay holds the directory.
var errBusy = errors.New("another replay is writing there")

func openJournal(to string) (*journal, error) {
	j := &journal{dir: filepath.Join(to, Dir)}
	if err := os.MkdirAll(j.dir, 0o755); err != nil {
		return nil, fmt.Errorf("checkpoints: %w", err)
	}
	var err error
	if j.lock, err = os.OpenFile(filepath.Join(j.dir, lockName), os.O_CREATE|os.O_RDWR, 0o644); err != nil {
		return nil, fmt.Errorf("checkpoints: %w", err)
	}
	if err := unix.Flock(int(j.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		j.lock.Close()
		return nil, fmt.Errorf("%s: %w: wait for it, or choose another directory", to, errBusy)
	}
	return j, nil
}

func (j *journal) close() { j.lock.Close() }

// load returns the last checkpoint, nil if there is none.
func (j *journal) load() (*checkpoint, error) {
	data, err := os.ReadFile(filepath.Join(j.dir, checkpointFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	c := new(checkpoint)
	if err := json.Unmarshal(data, c); err != nil {
		return nil, fmt.Errorf("checkpoint %s: %w", filepath.Join(j.dir, checkpointFile), err)
	}
	if c.Version != checkpointVersion {
		return nil, fmt.Errorf("checkpoint %s is of another version of zstats: choose another directory", filepath.Join(j.dir, checkpointFile))
	}
	return c, nil
}

// save makes a checkpoint the last one and removes the states of those before it.
func (j *journal) save(c *checkpoint) error {
	data, err := json.MarshalIndent(c, "", " ")
	if err != nil {
		return err
	}
	if err := j.write(checkpointFile, func(w io.Writer) error { _, err := w.Write(append(data, '\n')); return err }); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	return j.sweep(c.States)
}

// sweep removes all states but those in a file, and what was left half written.
func (j *journal) sweep(keep string) error {
	entries, err := os.ReadDir(j.dir)
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	for _, e := range entries {
		if name := e.Name(); name != keep && strings.HasPrefix(name, statesPrefix) || strings.HasSuffix(name, tempSuffix) {
			if err := os.Remove(filepath.Join(j.dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("checkpoint: %w", err)
			}
		}
	}
	return nil
}

const tempSuffix = ".tmp"

// write replaces a file by what fill writes, durably.
func (j *journal) write(name string, fill func(io.Writer) error) error {
	path := filepath.Join(j.dir, name)
	f, err := os.Create(path + tempSuffix)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	if err := errors.Join(fill(w), w.Flush(), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(path+tempSuffix, path); err != nil {
		return err
	}
	dir, err := os.Open(j.dir)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// saveStates writes the states of all shards and returns the name of their file.
func (j *journal) saveStates(position uint64, shards []*shard) (string, error) {
	name := fmt.Sprintf("%s%d", statesPrefix, position)
	err := j.write(name, func(w io.Writer) error {
		sum := crc32.NewIEEE()
		w = io.MultiWriter(w, sum)
		for _, s := range shards {
			for _, k := range s.states.all {
				if err := s.states.save(w, k); err != nil {
					return err
				}
			}
		}
		return binary.Write(w, binary.LittleEndian, sum.Sum32())
	})
	if err != nil {
		return "", fmt.Errorf("checkpoint: states: %w", err)
	}
	return name, nil
}

// save writes what is kept of a chain: its target, whether it is partial, and its state, each with its length in front.
func (s *states) save(w io.Writer, k *kept) error {
	data, err := s.encoded(k)
	if err != nil {
		return err
	}
	partial := "\x00"
	if k.partial {
		partial = "\x01"
	}
	var record []byte
	for _, field := range []string{k.target.Account, k.target.Source, k.target.Name, partial, string(data)} {
		record = binary.AppendUvarint(record, uint64(len(field)))
		record = append(record, field...)
	}
	_, err = w.Write(append(binary.AppendUvarint(nil, uint64(len(record))), record...))
	return err
}

// loadStates reads the states of a checkpoint and hands each to put.
func (j *journal) loadStates(name string, put func(t scrape.Target, st *scrape.State, partial bool) error) error {
	path := filepath.Join(j.dir, name)
	if err := checkSum(path); err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	r := bufio.NewReaderSize(io.LimitReader(f, info.Size()-crc32.Size), 1<<20)
	for {
		n, err := binary.ReadUvarint(r)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			record := make([]byte, n)
			if _, err = io.ReadFull(r, record); err == nil {
				err = loadState(record, put)
			}
		}
		if err != nil {
			return fmt.Errorf("checkpoint: states in %s: %w", path, err)
		}
	}
}

// checkSum checks the sum at the end of a file of states.
func checkSum(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	sum := crc32.NewIEEE()
	var want uint32
	if info.Size() >= crc32.Size {
		if _, err = io.Copy(sum, io.LimitReader(f, info.Size()-crc32.Size)); err == nil {
			err = binary.Read(f, binary.LittleEndian, &want)
		}
	}
	if err != nil || info.Size() < crc32.Size || want != sum.Sum32() {
		return errors.Join(fmt.Errorf("checkpoint: %s is damaged: begin again, in another directory", path), err)
	}
	return nil
}

func loadState(record []byte, put func(t scrape.Target, st *scrape.State, partial bool) error) error {
	var fields [5]string
	for i := range fields {
		n, width := binary.Uvarint(record)
		if width <= 0 || n > uint64(len(record)-width) {
			return errors.New("a record is cut short")
		}
		fields[i] = string(record[width : width+int(n)])
		record = record[width+int(n):]
	}
	var st *scrape.State
	if fields[4] != "" {
		var err error
		if st, err = event.DecodeState([]byte(fields[4])); err != nil {
			return err
		}
	}
	return put(scrape.Target{Account: fields[0], Source: fields[1], Name: fields[2]}, st, fields[3] == "\x01")
}
