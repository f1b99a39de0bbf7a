package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func TestGroupsOfFlags(t *testing.T) {
	ran := errors.New("it ran")
	for _, tt := range []struct {
		args string
		want string
	}{
		{"", "give --to or --verify"},
		{"--overwrite", "give --to or --verify"},
		{"--to a --verify b", "--to and --verify exclude each other"},
		{"--verify b --overwrite", "--overwrite and --verify exclude each other"},
		{"--to a --overwrite", ran.Error()},
		{"--verify b", ran.Error()},
	} {
		cmd := &cobra.Command{SilenceErrors: true, SilenceUsage: true, RunE: func(*cobra.Command, []string) error { return ran }}
		cmd.Flags().String("to", "", "")
		cmd.Flags().String("verify", "", "")
		cmd.Flags().Bool("overwrite", false, "")
		atMostOne(cmd, "to", "verify")
		atMostOne(cmd, "overwrite", "verify")
		atLeastOne(cmd, "give --to or --verify", "to", "verify")
		cmd.SetArgs(strings.Fields(tt.args))
		err := cmd.Execute()
		if err == nil || !strings.Contains(err.Error(), tt.want) || isUsage(err) == errors.Is(err, ran) {
			t.Errorf("%q: error %v, want %q", tt.args, err, tt.want)
		}
	}
}
