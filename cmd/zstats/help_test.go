package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func TestReflow(t *testing.T) {
	got := reflow("one two\nthree four\n\n  an indented\n  block\n\nfive a-word-that-is-longer six\n", 10)
	want := "one two\nthree four\n\n  an indented\n  block\n\nfive\na-word-that-is-longer\nsix"
	if got != want {
		t.Errorf("reflow:\n%s\nwant:\n%s", got, want)
	}
}

// TestHelpFits looks at what all commands say of themselves, but for examples and usage lines, which are to be copied whole.
func TestHelpFits(t *testing.T) {
	var look func(cmd *cobra.Command)
	look = func(cmd *cobra.Command) {
		var out bytes.Buffer
		cmd.SetOut(&out)
		if err := cmd.Help(); err != nil {
			t.Fatal(err)
		}
		text, _, _ := strings.Cut(out.String(), "\nUsage:\n")
		for line := range strings.Lines(text) {
			if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > plainWidth {
				t.Errorf("%s: %d characters: %s", cmd.CommandPath(), n, line)
			}
		}
		if cmd.Runnable() && !strings.Contains(out.String(), "\n  "+cmd.CommandPath()) {
			t.Errorf("%s does not say how it is used:\n%s", cmd.CommandPath(), out.String())
		}
		for _, sub := range cmd.Commands() {
			look(sub)
		}
	}
	look(rootCommand())
}
