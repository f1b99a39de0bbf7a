package deadletter

import "fmt"

// Summary counts what became of letters.
type Summary struct {
	Requeued, AlreadyWritten, Left int // letters
	Scrapes                        int // published, now or before
}

// Add counts a result.
func (s *Summary) Add(r *Result) {
	s.Scrapes += r.Scrapes + r.Earlier
	switch r.Outcome() {
	case Requeued:
		s.Requeued++
	case AlreadyWritten:
		s.AlreadyWritten++
	case Left:
		s.Left++
	}
}

// Text says it in a line.
func (s *Summary) Text(dry bool) string {
	text := fmt.Sprintf("%s requeued with %s, %d already written, %d left",
		plural(s.Requeued, "letter"), plural(s.Scrapes, "scrape"), s.AlreadyWritten, s.Left)
	if dry {
		return "dry run, nothing is changed: " + text
	}
	return text
}
