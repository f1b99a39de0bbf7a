package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Lines of help are as wide as the terminal, but not so wide that they are hard to read; elsewhere they have plainWidth.
const (
	plainWidth  = 80
	widestHelp  = 110
	narrowest   = 40
	exampleMark = "  "
)

// wrapHelp makes a command and those below it show help that fits the terminal.
func wrapHelp(root *cobra.Command) {
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) { writeHelp(cmd.OutOrStdout(), cmd) })
}

func helpWidth(out io.Writer) int {
	f, ok := out.(*os.File)
	if !ok {
		return plainWidth
	}
	switch width := terminalWidth(f); {
	case width == 0:
		return plainWidth
	default:
		return min(max(width, narrowest), widestHelp)
	}
}

func writeHelp(out io.Writer, cmd *cobra.Command) {
	cmd.InitDefaultHelpFlag()
	cmd.InitDefaultVersionFlag()
	width := helpWidth(out)
	var b strings.Builder
	text := cmd.Long
	if text == "" {
		text = cmd.Short
	}
	b.WriteString(reflow(text, width) + "\n\nUsage:\n")
	if cmd.Runnable() {
		b.WriteString("  " + cmd.UseLine() + "\n")
	}
	if cmd.HasAvailableSubCommands() {
		b.WriteString("  " + cmd.CommandPath() + " COMMAND\n")
	}
	if cmd.HasExample() {
		b.WriteString("\nExamples:\n" + strings.TrimRight(cmd.Example, "\n") + "\n")
	}
	helpOfCommands(&b, cmd, width)
	helpOfFlags(&b, "Flags", cmd.LocalFlags(), width)
	helpOfFlags(&b, "Flags of all commands", cmd.InheritedFlags(), width)
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(&b, "\n'%s COMMAND --help' says more of each.\n", cmd.CommandPath())
	}
	_, _ = io.WriteString(out, b.String()) // there is nobody to tell
}

func helpOfCommands(b *strings.Builder, cmd *cobra.Command, width int) {
	if !cmd.HasAvailableSubCommands() {
		return
	}
	b.WriteString("\nCommands:\n")
	column := cmd.Commands()[0].NamePadding() + 4
	for _, sub := range cmd.Commands() {
		if !sub.IsAvailableCommand() && sub.Name() != "help" {
			continue
		}
		lines := strings.Split(wrap(sub.Short, width-column), "\n")
		fmt.Fprintf(b, "  %-*s%s\n", column-2, sub.Name(), lines[0])
		for _, line := range lines[1:] {
			b.WriteString(strings.Repeat(" ", column) + line + "\n")
		}
	}
}

func helpOfFlags(b *strings.Builder, title string, flags *pflag.FlagSet, width int) {
	if flags.HasAvailableFlags() {
		b.WriteString("\n" + title + ":\n" + strings.TrimRight(flags.FlagUsagesWrapped(width), " \n") + "\n")
	}
}

// reflow wraps each paragraph of a text. Those that are indented stay as they are.
func reflow(text string, width int) string {
	paragraphs := strings.Split(strings.Trim(text, "\n"), "\n\n")
	for i, p := range paragraphs {
		if !strings.HasPrefix(p, exampleMark) {
			paragraphs[i] = wrap(p, width)
		}
	}
	return strings.Join(paragraphs, "\n\n")
}

// wrap breaks a text between words into lines of at most width characters, where the words allow it.
func wrap(text string, width int) string {
	var b strings.Builder
	column := 0
	for _, word := range strings.Fields(text) {
		n := len([]rune(word))
		switch {
		case column == 0:
		case column+1+n > width:
			b.WriteByte('\n')
			column = 0
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += n
	}
	return b.String()
}
