package e2e

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/zstats/zstats/pkg/archive/archivetest"
	"github.com/zstats/zstats/pkg/scrape"
)

// bashCompletion is the package that the script for bash needs, where distributions put it.
const bashCompletion = "/usr/share/bash-completion/bash_completion"

// completeInBash has bash complete the last of its arguments, which are words as bash splits them: at colons too.
const completeInBash = `
source "$BASH_COMPLETION"
source <("$ZSTATS" completion bash)
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_TYPE=9
COMP_LINE="${COMP_LINE// : /:}"; COMP_POINT=${#COMP_LINE}
"$(complete -p zstats | sed 's/.*-F \([^ ]*\) .*/\1/')"
printf '%s\n' "${COMPREPLY[@]}"
`

// TestCompletionInBash loads the script as a user does.
func TestCompletionInBash(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("there is no bash")
	}
	if _, err := os.Stat(bashCompletion); err != nil {
		t.Skip("there is no bash-completion")
	}
	files := t.TempDir()
	archivetest.Write(t, files, scrape.Target{Account: "acme", Name: "10.0.0.1:9100.node"}, 1_000_000, "up 1\n")
	z := startZstats(t)
	c := notifierClient{t: t, addr: z.NotifierAddr}
	c.start("tail", "--name", "billing")
	c.waitMembers("billing", 1)
	for _, q := range []struct {
		words []string
		want  string
	}{
		{[]string{"deadl"}, "deadletter"},
		{[]string{"positions", "s"}, "show"},
		{[]string{"ls", "--files", files, ""}, "acme"},
		{[]string{"cat", "--files", files, "10.0.0.1", ":", "91"}, "9100.node"},
		{[]string{"positions", "rm", "--notifier", z.NotifierAddr, "bi"}, "billing"},
	} {
		cmd := exec.CommandContext(t.Context(), bash, append([]string{"--norc", "-c", completeInBash, "bash", "zstats"}, q.words...)...)
		// The script runs the command by the name under which it is completed.
		link := t.TempDir()
		if err := os.Symlink(zstatsBinary, link+"/zstats"); err != nil {
			t.Fatal(err)
		}
		cmd.Env = append(os.Environ(), "PATH="+link+":"+os.Getenv("PATH"), "ZSTATS="+zstatsBinary, "BASH_COMPLETION="+bashCompletion)
		out, err := cmd.Output() // compopt complains on the other one that no key was pressed
		if got := strings.TrimSpace(string(out)); err != nil || got != q.want {
			t.Errorf("zstats %s<TAB>: %q and %v, want %q", strings.Join(q.words, " "), got, err, q.want)
		}
	}
}
