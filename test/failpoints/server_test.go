package failpoints

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/zstats/zstats/pkg/bus"
	"github.com/zstats/zstats/pkg/checker"
	"github.com/zstats/zstats/pkg/zstatsv1"
	"github.com/zstats/zstats/test/eventually"
	"github.com/zstats/zstats/test/harness"
)

// server is a `zstats run` that dies at failpoints and is started again, and all that is known of what it was sent.
type server struct {
	t        *testing.T
	zstats   *harness.Zstats
	points   points
	args     []string // of the next start, beside the usual ones
	book     *checker.Book
	consumer *consumer
	// retention: old files are removed.
	retention bool
}

func newServer(t *testing.T, dir string, p points) *server {
	t.Helper()
	z, err := harness.NewZstats(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if z.Process != nil {
			z.Kill()
		}
		if t.Failed() {
			t.Logf("the last process said:\n%s", z.Output())
		}
	})
	return &server{t: t, zstats: z, points: p, book: checker.NewBook(), consumer: startConsumer(t, z.NotifierAddr)}
}

// start starts the process, again if it dies at a failpoint before it is ready, until it is.
func (s *server) start() {
	s.t.Helper()
	for {
		s.zstats.Env = s.points.env()
		args := append([]string{"--account", account + ":" + token, "--collect-self=false", "--log.level=debug"}, s.args...)
		err := s.zstats.Restart(s.t.Context(), tagged, args...)
		if err == nil {
			return
		}
		if s.zstats.Process == nil {
			s.t.Fatal(err)
		}
		s.died()
	}
}

// died waits for the end of the process and checks that it was killed by the failpoint.
func (s *server) died() {
	s.t.Helper()
	select {
	case <-s.zstats.Ended():
	case <-time.After(patience):
		s.t.Fatalf("%s was not hit", s.points[0])
	}
	var err error
	if s.points, err = s.points.died(s.zstats.Process); err != nil {
		s.t.Fatal(err)
	}
	s.args = nil
}

// stop ends the process gracefully. It may die at a failpoint on its way; then it is started again and stopped.
func (s *server) stop() {
	s.t.Helper()
	for {
		err := s.zstats.Stop(20 * time.Second)
		if err == nil {
			return
		}
		if len(s.points) == 0 {
			s.t.Fatalf("stop: %v\n%s", err, s.zstats.Output())
		}
		s.died()
		s.start()
	}
}

// ship sends a request as a collector does: again until every blob has its end, in full where that is asked for.
func (s *server) ship(blobs []*blob) {
	s.t.Helper()
	for len(blobs) > 0 {
		for _, b := range blobs {
			s.book.Sent(checker.Describe(b.of(), b.schema, b.truth))
		}
		codes, err := s.post(blobs)
		if err != nil {
			s.recover(err)
			continue
		}
		var again []*blob
		for i, b := range blobs {
			s.book.Answered(b.of(), b.truth.Generation, codes[i])
			if codes[i] == zstatsv1.CodeSendFull {
				b.full = true
				again = append(again, b)
			}
		}
		blobs = again
	}
}

// recover brings the process back if it has died. What else may keep it from answering ends by itself.
func (s *server) recover(cause error) {
	s.t.Helper()
	var answered *statusError
	if errors.As(cause, &answered) {
		time.Sleep(20 * time.Millisecond)
		return
	}
	s.died() // a connection breaks only with the process
	s.start()
}

// statusError is an answer that settles nothing.
type statusError struct{ text string }

func (e *statusError) Error() string { return e.text }

func (s *server) post(blobs []*blob) ([]int8, error) {
	var instances []zstatsv1.Instance
	for _, b := range blobs {
		instances = append(instances, b.instance())
	}
	var z zstatsv1.Compressor
	body := z.Append(nil, zstatsv1.AppendRequest(nil, zstatsv1.NewRequest(token, instances)))
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, "http://"+s.zstats.IngestAddr+"/api/v1/zstats", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Close = true // the next request may be for another process
	req.Header.Set("Content-Type", "application/octet-stream")
	req.Header.Set("Zebrium-Token", token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, &statusError{fmt.Sprintf("answer %s: %s", resp.Status, data)}
	}
	answer, err := zstatsv1.DecodeResponse(data)
	if err != nil {
		return nil, err
	}
	return answer.IErrCodes, answer.Check(len(blobs))
}

// drain waits until nothing is left to do.
func (s *server) drain() {
	s.t.Helper()
	eventually.Succeeds(s.t, "everything is done", func() error {
		if err := s.zstats.Idle(s.t.Context()); err != nil {
			return err
		}
		return s.missing()
	})
}

// missing names an acknowledged scrape that is neither written nor one that no server can take.
func (s *server) missing() error {
	written := make(map[string]bool)
	oldest := make(map[string]int64)
	for _, w := range checker.Tree(os.DirFS(s.zstats.Files())) {
		name := w.Target.Name
		written[fmt.Sprint(name, w.Generation)] = true
		if g, ok := oldest[name]; !ok || w.Generation < g {
			oldest[name] = w.Generation
		}
	}
	for _, sent := range s.book.All() {
		name := sent.Target.Name
		if s.retention && sent.Generation < oldest[name] {
			continue
		}
		if sent.Answer == checker.Acknowledged && !strings.HasPrefix(name, refusedPrefix) && !written[fmt.Sprint(name, sent.Generation)] {
			return fmt.Errorf("%s generation %d is not written", sent.Target, sent.Generation)
		}
	}
	return nil
}

// told waits until the consumer has an event of each scrape that is written.
func (s *server) told() {
	s.t.Helper()
	eventually.Succeeds(s.t, "the consumer knows all scrapes", func() error {
		known := make(map[string]bool)
		for _, e := range s.consumer.all() {
			known[fmt.Sprint(e.Target.Name, e.Generation)] = true
		}
		for _, w := range checker.Tree(os.DirFS(s.zstats.Files())) {
			if !known[fmt.Sprint(w.Target.Name, w.Generation)] {
				return fmt.Errorf("%s is written and not notified", w.Path)
			}
		}
		return nil
	})
}

// judge has the checker compare everything that was sent, written, notified and buried. The process must have ended. It returns
// the dead letters.
func (s *server) judge(b *bus.Bus) []checker.Dead {
	s.t.Helper()
	dead, err := checker.DeadLetters(s.t.Context(), b)
	if err != nil {
		s.t.Fatal(err)
	}
	report := checker.Compare(checker.Run{
		Sent:      s.book.All(),
		Written:   checker.Tree(os.DirFS(s.zstats.Files())),
		Notified:  s.consumer.kept(s.t, b),
		Dead:      dead,
		Retention: s.retention,
		Planted:   map[uint64]bool{plantedRaw: true, plantedScrape: true},
	})
	if !report.OK() {
		s.t.Errorf("the checker found faults: %s", report)
	}
	return dead
}
