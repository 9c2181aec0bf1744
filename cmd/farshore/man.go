package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// manCommand writes the manual pages.
func manCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "man DIRECTORY",
		Short: "Write the manual pages of all commands into a directory",
		Long: `Write the manual pages of all commands, of section 1, into a directory, which is made where it is missing; pages of the same names are
replaced. The packages install them already. Their date is $SOURCE_DATE_EPOCH (in seconds), else that of what this program was built from.

Exit codes: 0 done, 1 failed, 2 usage.`,
		Example: "  farshore man /usr/local/share/man/man1",
		Args:    arguments(1, 1, "DIRECTORY"),
	}
	return e.does(cmd, func(_ context.Context, args []string) (result, error) {
		date, err := manDate(e.getenv, buildVersion().Time)
		if err != nil {
			return nil, err
		}
		return writeMan(cmd.Root(), args[0], date)
	})
}

// manResult is the result of man.
type manResult struct {
	Directory string   `json:"directory"`
	Pages     []string `json:"pages"`
}

func (r manResult) text(p *printer) {
	p.line("%s in %s", plural(int64(len(r.Pages)), "manual page"), r.Directory)
}

// manDate is the date of the pages, as 2006-01-02, or "" where neither the environment nor the build says one: never the day on which they are written.
func manDate(getenv func(string) string, built string) (string, error) {
	if epoch := getenv("SOURCE_DATE_EPOCH"); epoch != "" {
		seconds, err := strconv.ParseInt(epoch, 10, 64)
		if err != nil || seconds < 0 {
			return "", usagef("SOURCE_DATE_EPOCH is %q, and no number of seconds", epoch)
		}
		return time.Unix(seconds, 0).UTC().Format(time.DateOnly), nil
	}
	if t, err := time.Parse(time.RFC3339, built); err == nil {
		return t.UTC().Format(time.DateOnly), nil
	}
	return "", nil
}

func writeMan(root *cobra.Command, dir, date string) (result, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	r := manResult{Directory: dir, Pages: []string{}}
	for _, c := range visible(root) {
		name := manName(c) + ".1"
		if err := os.WriteFile(filepath.Join(dir, name), []byte(manPage(c, date)), 0o644); err != nil {
			return r, err
		}
		r.Pages = append(r.Pages, name)
	}
	return r, nil
}

// visible returns a command and all below it that are not hidden.
func visible(cmd *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{cmd}
	for _, c := range cmd.Commands() {
		if !c.Hidden {
			all = append(all, visible(c)...)
		}
	}
	return all
}

func manName(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

// manPage is a command's page in the language of man(7).
func manPage(cmd *cobra.Command, date string) string {
	cmd.InitDefaultHelpFlag()
	var b strings.Builder
	// The last two are the left foot and the head of a page.
	fmt.Fprintf(&b, ".TH %s 1 %s farshore \"farshore manual\"\n", roff(strings.ToUpper(manName(cmd))), strconv.Quote(date))
	b.WriteString(".nh\n.ad l\n") // names of files and flags are neither hyphenated nor spread
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", roff(manName(cmd)), roff(cmd.Short))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n\\fB%s\\fR\n", roff(cmd.UseLine()))
	b.WriteString(".SH DESCRIPTION\n" + roffText(cmd.Long))
	manOptions(&b, "OPTIONS", cmd.NonInheritedFlags())
	manOptions(&b, "COMMON OPTIONS", cmd.InheritedFlags())
	fmt.Fprintf(&b, ".SH EXAMPLES\n.nf\n%s\n.fi\n", roff(cmd.Example))
	if also := seeAlso(cmd); also != "" {
		b.WriteString(".SH SEE ALSO\n" + also + "\n")
	}
	return b.String()
}

func manOptions(b *strings.Builder, title string, flags *pflag.FlagSet) {
	if !flags.HasAvailableFlags() {
		return
	}
	b.WriteString(".SH " + title + "\n")
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Deprecated != "" {
			return
		}
		word, usage := pflag.UnquoteUsage(f)
		b.WriteString(".TP\n")
		if f.Shorthand != "" {
			fmt.Fprintf(b, "\\fB\\-%s\\fR, ", f.Shorthand)
		}
		fmt.Fprintf(b, "\\fB\\-\\-%s\\fR", roff(f.Name))
		if word != "" {
			fmt.Fprintf(b, " \\fI%s\\fR", roff(word))
		}
		b.WriteString("\n" + roffText(usage+manDefault(f)))
	})
}

// manDefault is what the help texts say of a flag's default, where its description does not say it.
func manDefault(f *pflag.Flag) string {
	switch f.DefValue {
	case "", "0", "false", "[]", "0s":
		return ""
	}
	return " (default " + f.DefValue + ")"
}

// seeAlso names the pages of the command above, and of those below.
func seeAlso(cmd *cobra.Command) string {
	var pages []string
	if cmd.HasParent() {
		pages = append(pages, manName(cmd.Parent()))
	}
	for _, c := range cmd.Commands() {
		if !c.Hidden {
			pages = append(pages, manName(c))
		}
	}
	for i, p := range pages {
		pages[i] = "\\fB" + roff(p) + "\\fR(1)"
	}
	return strings.Join(pages, ",\n")
}

// roffText writes paragraphs of plain text: an empty line begins one, and lines that begin with a space stay lines of their own.
func roffText(text string) string {
	var b strings.Builder
	for _, line := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		if strings.TrimSpace(line) == "" {
			b.WriteString(".PP\n")
			continue
		}
		b.WriteString(roff(line) + "\n")
	}
	return b.String()
}

// roff writes text such that it is shown as it is, character for character, and can be copied.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, `-`, `\-`, `'`, `\(aq`, "`", `\(ga`, `^`, `\(ha`, `~`, `\(ti`).Replace(text)
	var b strings.Builder
	for i, r := range text {
		if r == '.' && (i == 0 || text[i-1] == '\n') {
			b.WriteString(`\&`) // or the line would be a request
		}
		if r < utf8.RuneSelf {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, `\[u%04X]`, r)
		}
	}
	return b.String()
}
