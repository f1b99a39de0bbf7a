package checker

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/zstats/zstats/pkg/scrape"
)

// LedgerVersion is the only version of the ledger's format.
const LedgerVersion = 1

// Ledger notes in a file what is sent and how it is answered; the format is in the package's documentation. It is safe for
// concurrent use. What was noted survives the end of the process, but not that of the machine.
type Ledger struct {
	mu    sync.Mutex // guards what follows
	file  *os.File
	buf   bytes.Buffer
	known map[id]bool // blobs that were described and not answered yet
	err   error       // of the first write that failed; nothing is noted after it
}

// OpenLedger opens a ledger, or makes one that only its owner can read. Only one process may have it open.
func OpenLedger(path string) (*Ledger, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	l := &Ledger{file: file, known: make(map[id]bool)}
	if err := l.begin(); err != nil {
		return nil, errors.Join(fmt.Errorf("ledger %s: %w", path, err), file.Close())
	}
	return l, nil
}

// begin ends what a crash has left unfinished, and writes the head.
func (l *Ledger) begin() error {
	end, err := l.file.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if end > 0 {
		last := make([]byte, 1)
		if _, err := l.file.ReadAt(last, end-1); err != nil {
			return err
		}
		if last[0] != '\n' {
			l.buf.WriteByte('\n')
		}
	}
	return l.append(line{Ledger: LedgerVersion, Opened: time.Now().UnixMilli()})
}

// Sent notes that blobs are about to be sent, for the first time or again, in this order.
func (l *Ledger) Sent(all ...Sent) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := make([]line, len(all))
	for k, s := range all {
		out := &sentLine{name: nameOf(s.Target), Generation: s.Generation}
		if i := (id{s.Target, s.Generation}); !l.known[i] {
			l.known[i] = true
			out.Time, out.Digest, out.Shape, out.Exact, out.Values = s.Time, s.Digest, s.Shape, s.Exact, packValues(s.Values)
		}
		lines[k].Sent = out
	}
	return l.append(lines...)
}

// Answered notes the wire's code for a blob that was sent. Whoever gets no answer notes nothing.
func (l *Ledger) Answered(t scrape.Target, generation int64, code int8) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.known, id{t, generation}) // it is seldom sent again, and may be described twice
	return l.append(line{Answer: &answerLine{name: nameOf(t), Generation: generation, Code: code}})
}

// append writes lines at once.
func (l *Ledger) append(lines ...line) error {
	if l.err != nil {
		return l.err
	}
	e := json.NewEncoder(&l.buf)
	e.SetEscapeHTML(false)
	for i := range lines {
		if err := e.Encode(&lines[i]); err != nil {
			return err
		}
	}
	_, l.err = l.file.Write(l.buf.Bytes())
	l.buf.Reset()
	return l.err
}

// Close closes the file.
func (l *Ledger) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.file.Close()
}
