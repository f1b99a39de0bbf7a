package failpoint

import (
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	tests := []struct {
		text string
		want choice
		bad  bool
	}{
		{text: "a.b", want: choice{name: "a.b", at: 1}},
		{text: "a.b/RAW#3", want: choice{name: "a.b/RAW", at: 3}},
		{text: "a.b+50ms", want: choice{name: "a.b", at: 1, after: 50 * time.Millisecond}},
		{text: "a.b#2+1s", want: choice{name: "a.b", at: 2, after: time.Second}},
		{text: "", bad: true},
		{text: "#1", bad: true},
		{text: "a.b#0", bad: true},
		{text: "a.b#x", bad: true},
		{text: "a.b+soon", bad: true},
		{text: "a.b+-1s", bad: true},
	}
	for _, tt := range tests {
		got, err := parse(tt.text)
		if (err != nil) != tt.bad || err == nil && got != tt.want {
			t.Errorf("parse(%q) = %+v, %v, want %+v, an error: %t", tt.text, got, err, tt.want, tt.bad)
		}
	}
}
