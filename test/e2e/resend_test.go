package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/zstats/zstats/pkg/checker"
	"github.com/zstats/zstats/pkg/zstatsv1"
	"github.com/zstats/zstats/test/eventually"
	"github.com/zstats/zstats/test/harness"
)

func zeros(n int) []int8 { return make([]int8, n) }

func repeated(code int8, n int) []int8 { return slices.Repeat([]int8{code}, n) }

func (w wire) want(what string, got, want []int8) {
	w.t.Helper()
	if !slices.Equal(got, want) {
		w.t.Errorf("%s: codes %v, want %v", what, got, want)
	}
}

// TestResends sends the same scrapes in every way in which collectors send them again, to one process that is also killed in
// between. At the end each scrape is on disk once, in order and unchanged.
func TestResends(t *testing.T) {
	z := startZstats(t)
	w := wire{t, z.IngestAddr, checker.NewBook()}

	t.Run("the same request again", func(t *testing.T) {
		all := newWireTarget("same:1.j", 1).scrapes(10)
		w.want("first", w.send(all, smallests(all)), zeros(10))
		w.want("again", w.send(all, smallests(all)), zeros(10))
		w.want("again, in full", w.send(all, fulls(all)), zeros(10))
	})
	t.Run("a gap, then full", func(t *testing.T) {
		all := newWireTarget("gap:1.j", 2).scrapes(10)
		w.want("first", w.send(all[:3], smallests(all[:3])), zeros(3))
		w.want("behind the gap", w.send(all[5:7], smallests(all[5:7])), repeated(1, 2))
		w.want("in full", w.send(all[5:7], fulls(all[5:7])), zeros(2))
		w.want("in full again", w.send(all[5:7], fulls(all[5:7])), zeros(2))
		w.want("what follows", w.send(all[7:], smallests(all[7:])), zeros(3))
	})
	t.Run("the end of a run and the start of the next in one request", func(t *testing.T) {
		target := newWireTarget("runs:1.j", 3)
		all := target.scrapes(6)
		target.restart()
		all = append(all, target.scrapes(6)...)
		w.want("first", w.send(all[:4], smallests(all[:4])), zeros(4))
		w.want("both", w.send(all[4:8], smallests(all[4:8])), zeros(4))
		w.want("both again", w.send(all[4:8], smallests(all[4:8])), []int8{1, 1, 1, 1})
		w.want("both again, in full", w.send(all[4:8], fulls(all[4:8])), zeros(4))
	})
	t.Run("a 1 and then a full blob in one request", func(t *testing.T) {
		target := newWireTarget("one:1.j", 4)
		all := target.scrapes(5)
		target.restart()
		all = append(all, target.scrapes(2)...)
		w.want("first", w.send(all[:2], smallests(all[:2])), zeros(2))
		w.want("gap", w.send(all[3:], smallests(all[3:])), repeated(1, 4))
		w.want("in full", w.send(all[3:], fulls(all[3:])), zeros(4))
	})
	t.Run("a disk buffer replayed oldest first", func(t *testing.T) {
		target := newWireTarget("buffer:1.j", 5)
		old := target.scrapes(10)
		w.want("first", w.send(old, smallests(old)), zeros(10))
		target.restart()
		fresh := target.scrapes(4)
		w.want("a new run", w.send(fresh, smallests(fresh)), zeros(4))
		for i := 3; i < 10; i += 2 {
			part := old[i:min(i+2, 10)]
			if codes := w.send(part, smallests(part)); codes[0] == zstatsv1.CodeSendFull {
				w.want("replay in full", w.send(part, fulls(part)), zeros(len(part)))
			}
		}
	})
	t.Run("more than 50 requests at once", func(t *testing.T) {
		var running sync.WaitGroup
		for i := range 80 {
			running.Go(func() {
				all := newWireTarget(fmt.Sprintf("crowd-%d:1.j", i), uint64(100+i)).scrapes(6)
				w.want("first", w.send(all[:3], smallests(all[:3])), zeros(3))
				w.want("second", w.send(all[3:], smallests(all[3:])), zeros(3))
			})
		}
		running.Wait()
	})
	t.Run("a lost answer", func(t *testing.T) { loseAnswer(t, w, z) })
	t.Run("kill and restart", func(t *testing.T) {
		all := newWireTarget("kill:1.j", 7).scrapes(6)
		w.want("first", w.send(all[:3], smallests(all[:3])), zeros(3))
		z.Kill()
		if err := z.Restart(t.Context(), zstatsBinary, "--account", account+":"+token, "--collect-self=false"); err != nil {
			t.Fatal(err)
		}
		w.want("after the restart, without a full blob", w.send(all[3:], smallests(all[3:])), zeros(3))
	})
	judge(t, z, w.book)
	if err := z.Stop(10 * time.Second); err != nil {
		t.Errorf("stop: %v", err)
	}
}

// loseAnswer cuts the connection after the log has the blobs and before the answer, then sends them again.
func loseAnswer(t *testing.T, w wire, z *harness.Zstats) {
	target := newWireTarget("lost:1.j", 6)
	all := target.scrapes(8)
	w.want("first", w.send(all[:2], smallests(all[:2])), zeros(2))
	conn, err := net.Dial("tcp", w.addr)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequest(http.MethodPost, "http://"+w.addr+"/api/v1/zstats", bytes.NewReader(requestBody(smallests(all[2:5]))))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/octet-stream")
	req.Header.Set("Zebrium-Token", token)
	w.note(all[2:5])
	if err := req.Write(conn); err != nil {
		t.Fatal(err)
	}
	eventually.Succeeds(t, "the log has the blobs", func() error {
		if len(listTarget(t, z, "lost:1.j")) != 5 {
			return errors.New("not yet")
		}
		return nil
	})
	conn.Close() // the answer was never read
	w.want("again", w.send(all[2:6], smallests(all[2:6])), zeros(4))
	w.want("what follows", w.send(all[6:], smallests(all[6:])), zeros(2))
}

// judge waits until all that was acknowledged is on disk and has the checker compare everything.
func judge(t *testing.T, z *harness.Zstats, book *checker.Book) {
	t.Helper()
	run := checker.Run{Sent: book.All()}
	eventually.Succeeds(t, "all is written", func() error {
		run.Written = checker.Tree(os.DirFS(z.Files()))
		for _, f := range checker.Compare(run).Findings {
			if f.Kind == checker.Lost {
				return errors.New(f.String())
			}
		}
		return nil
	})
	eventually.Succeeds(t, "nothing is left to do", func() error { return z.Idle(t.Context()) })
	run.Written = checker.Tree(os.DirFS(z.Files()))
	run.Notified = readEvents(t, z.NotifierAddr)
	report := checker.Compare(run)
	t.Log(report)
	if !report.OK() {
		t.Error("the checker found faults")
	}
}
