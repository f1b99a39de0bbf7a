package bus

import (
	"errors"
	"testing"
)

func TestFoundEachTime(t *testing.T) {
	ill := errors.New("ill")
	for _, test := range []struct {
		name  string
		finds []error // of one look after the other
		want  error
		looks int
	}{
		{"nothing", []error{nil}, nil, 1},
		{"for a moment", []error{ill, ill, nil}, nil, 3},
		{"each time", []error{ill, ill, ill}, ill, 3},
	} {
		t.Run(test.name, func(t *testing.T) {
			looks := 0
			err := foundEachTime(t.Context(), func() error {
				looks++
				return test.finds[looks-1]
			})
			if !errors.Is(err, test.want) || looks != test.looks {
				t.Errorf("%v after %d looks, want %v after %d", err, looks, test.want, test.looks)
			}
		})
	}
}
