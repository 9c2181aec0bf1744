package main

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// shells are those that completion writes a script for.
var shells = [...]string{"bash", "zsh", "fish"}

// completionCommand prints the script that makes a shell complete commands, flags and the names of sources.
func completionCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "completion bash|zsh|fish",
		Short: "Print the script that makes a shell complete farshore's commands",
		Long: `Print the script that makes a shell complete farshore's commands, flags, and the names of the sources in the configuration. The packages
install it already. Completing asks nobody but the configuration file, and says nothing where there is none.

  bash  farshore completion bash > /etc/bash_completion.d/farshore (takes the package bash-completion)
  zsh   farshore completion zsh > "${fpath[1]}/_farshore"
  fish  farshore completion fish > ~/.config/fish/completions/farshore.fish

Exit codes: 0 done, 2 usage.`,
		Example: "  farshore completion bash\n  farshore completion fish",
		Args:    arguments(1, 1, "bash, zsh or fish"),
	}
	return e.does(cmd, func(_ context.Context, args []string) (result, error) {
		script, err := completionScript(cmd.Root(), args[0])
		return completionResult{args[0], script}, err
	})
}

// completionResult is the result of completion.
type completionResult struct {
	Shell  string `json:"shell"`
	Script string `json:"script"`
}

func (r completionResult) text(p *printer) { p.line("%s", r.Script) }

func completionScript(root *cobra.Command, shell string) (string, error) {
	var b strings.Builder
	var err error
	switch shell {
	case "bash":
		err = root.GenBashCompletionV2(&b, true)
	case "zsh":
		err = root.GenZshCompletion(&b)
	case "fish":
		err = root.GenFishCompletion(&b, true)
	default:
		return "", usagef("no completion is written for %q", shell).with("it is one of %s", strings.Join(shells[:], ", "))
	}
	return b.String(), err
}

// complete gives each command below cmd, and cmd, what completes its arguments and flags: it is read from the words of Use and of the flags' descriptions, so that what
// people are told is what is completed.
func (e *env) complete(cmd *cobra.Command) {
	for _, c := range cmd.Commands() {
		e.complete(c)
	}
	words := placeholders(cmd)
	cmd.ValidArgsFunction = func(_ *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return e.candidates(wordAt(words, len(args)), begun, args)
	}
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		word, _ := pflag.UnquoteUsage(f)
		if f.Name == "source" {
			word = "SOURCE"
		}
		if word == "" || word == "FILE" { // a flag without a value; and files are what shells complete by themselves
			return
		}
		_ = cmd.RegisterFlagCompletionFunc(f.Name, func(_ *cobra.Command, _ []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return e.candidates(word, begun, nil)
		}) // fails only for a flag that has one, or that there is not
	})
}

// placeholders are the words for a command's arguments, in order, without brackets: SOURCE[@WHEN], [PREFIX] become SOURCE, PREFIX; [SOURCE...] keeps its dots. NAME of the
// commands below source, but for add, is a source's.
func placeholders(cmd *cobra.Command) []string {
	var words []string
	uses := strings.Fields(cmd.Use)[1:]
	for i := 0; i < len(uses); i++ {
		w := uses[i]
		if strings.HasPrefix(w, "(") {
			break // a choice of flags
		}
		if strings.HasPrefix(w, "-") || strings.HasPrefix(w, "[-") {
			i++ // its value
			continue
		}
		w = strings.Trim(strings.TrimSuffix(w, "[@WHEN]"), "[]")
		if w == "NAME" && cmd.Parent() != nil && cmd.Parent().Name() == "source" && cmd.Name() != "add" {
			w = "SOURCE"
		}
		words = append(words, w)
	}
	return words
}

// wordAt is the placeholder of the argument with index i; "" for none. One that ends with dots stands for all that follow.
func wordAt(words []string, i int) string {
	if i < len(words) {
		return strings.TrimSuffix(words[i], "...")
	}
	if n := len(words); n > 0 && strings.HasSuffix(words[n-1], "...") {
		return strings.TrimSuffix(words[n-1], "...")
	}
	return ""
}

// candidates are what an argument may be that is called word and begins as it was begun, without those that are given already.
func (e *env) candidates(word, begun string, given []string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var all []string
	switch {
	case word == "FILE" || word == "DRAFT":
		return nil, cobra.ShellCompDirectiveDefault
	case word == "DIR" || word == "DIRECTORY" || word == "DEST" || word == "DESTINATION":
		return nil, cobra.ShellCompDirectiveFilterDirs
	case word == "SOURCE":
		all = e.sourceNames()
	case strings.Contains(word, "|"):
		all = strings.Split(word, "|")
	}
	return slices.DeleteFunc(all, func(s string) bool {
		return !strings.HasPrefix(s, begun) || slices.Contains(given, s)
	}), cobra.ShellCompDirectiveNoFileComp
}

// sourceNames are the names of the configuration's sources. Where it can't be read there are none: a shell that completes is no place for errors.
func (e *env) sourceNames() []string {
	c, err := e.loadConfig()
	if err != nil {
		return nil
	}
	var names []string
	for _, s := range c.Sources {
		names = append(names, s.Name)
	}
	return names
}
