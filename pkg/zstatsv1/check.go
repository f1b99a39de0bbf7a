package zstatsv1

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// checkSamples checks the samples of a full blob and returns how many labels they have in all.
func (in *Instance) checkSamples(limits Limits) (labels int, err error) {
	last := new(Sample)
	for i := range in.Samples {
		s := &in.Samples[i]
		if int(s.Idx) != i {
			return 0, fmt.Errorf("sample %d has Idx %d", i, s.Idx)
		}
		if err := checkSample(s, last, limits); err != nil {
			return 0, fmt.Errorf("sample %d: %w", i, err)
		}
		labels += len(s.Ls)
		last = s
	}
	return labels, nil
}

// checkSample checks labels and texts. What equals the sample before it has been checked there; interned strings make
// that comparison quick.
func checkSample(s, last *Sample, limits Limits) error {
	if len(s.Ls) > limits.Labels {
		return fmt.Errorf("%d labels, the limit Labels is %d", len(s.Ls), limits.Labels)
	}
	if err := checkNames(s.Ls, last.Ls, limits); err != nil {
		return err
	}
	for i := range s.Ls {
		if i < len(last.Ls) && s.Ls[i].Value == last.Ls[i].Value {
			continue
		}
		if err := checkText(s.Ls[i].Value, limits); err != nil {
			return fmt.Errorf("value of label %s %w", s.Ls[i].Name, err)
		}
	}
	if s.Help != last.Help {
		if err := checkText(s.Help, limits); err != nil {
			return fmt.Errorf("help %w", err)
		}
	}
	if s.Type != last.Type && !saneType(s.Type) {
		return fmt.Errorf("type %.80q is not a short word", s.Type)
	}
	return nil
}

// checkNames checks the names of a sample's labels.
func checkNames(ls, last []Label, limits Limits) error {
	if sameNames(ls, last) {
		return nil
	}
	ascending := true
	for i := range ls {
		name := ls[i].Name
		if err := checkLabelName(name, limits); err != nil {
			return fmt.Errorf("label %d: name %w", i, err)
		}
		ascending = ascending && (i == 0 || ls[i-1].Name < name)
	}
	if !ascending {
		return checkTwice(ls)
	}
	return nil
}

func sameNames(ls, last []Label) bool {
	if len(ls) != len(last) {
		return false
	}
	for i := range ls {
		if ls[i].Name != last[i].Name {
			return false
		}
	}
	return true
}

// checkTwice looks for a label that occurs twice. Collectors sort labels, so it is rarely called.
func checkTwice(ls []Label) error {
	seen := make(map[string]struct{}, len(ls))
	for i := range ls {
		if _, ok := seen[ls[i].Name]; ok {
			return fmt.Errorf("label %s occurs twice", ls[i].Name)
		}
		seen[ls[i].Name] = struct{}{}
	}
	return nil
}

func checkOptionalLabels(names []string, limits Limits) error {
	if len(names) > limits.OptionalLabels {
		return fmt.Errorf("%d optional labels, the limit OptionalLabels is %d", len(names), limits.OptionalLabels)
	}
	for i, name := range names {
		if err := checkLabelName(name, limits); err != nil {
			return fmt.Errorf("optional label %d: name %w", i, err)
		}
	}
	return nil
}

func checkLabelName(name string, limits Limits) error {
	if name == "" {
		return errors.New("is empty")
	}
	return checkText(name, limits)
}

func checkText(s string, limits Limits) error {
	if len(s) > limits.StringBytes {
		return fmt.Errorf("has %d bytes, the limit StringBytes is %d", len(s), limits.StringBytes)
	}
	if !utf8.ValidString(s) {
		return fmt.Errorf("%.80q is not UTF-8", s)
	}
	return nil
}

// saneType reports whether a type can stand in a line of text: printable ASCII without spaces, at most MaxTypeBytes.
func saneType(s string) bool {
	if len(s) > MaxTypeBytes {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
