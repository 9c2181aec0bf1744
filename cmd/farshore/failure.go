package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"farshore/agent/config"
)

// Exit codes.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitIncomplete  = 3
	exitDamage      = 4
	exitInterrupted = 130
)

// Codes of errors, for programs.
const (
	codeFailed      = "failed"
	codeUsage       = "usage"
	codeConfig      = "config"
	codeIncomplete  = "incomplete"
	codeDamage      = "damage"
	codeInterrupted = "interrupted"
)

// failure is how a command failed, as far as people and programs are told.
type failure struct {
	exit int
	code string
	hint string
	err  error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// with adds a hint.
func (f *failure) with(hint string, args ...any) *failure {
	f.hint = fmt.Sprintf(hint, args...)
	return f
}

// usagef returns a failure of how the command was called (exit 2).
func usagef(format string, args ...any) *failure {
	return &failure{exit: exitUsage, code: codeUsage, err: fmt.Errorf(format, args...)}
}

// incompletef returns the failure of a command that did what it could and could not do or prove everything (exit 3).
func incompletef(format string, args ...any) *failure {
	return &failure{exit: exitIncomplete, code: codeIncomplete, err: fmt.Errorf(format, args...)}
}

// damagef returns the failure of a command that found damage, tampering or a destructive permission (exit 4).
func damagef(format string, args ...any) *failure {
	return &failure{exit: exitDamage, code: codeDamage, err: fmt.Errorf(format, args...)}
}

// classify turns any error into a failure, nil into nil.
func classify(ctx context.Context, err error) *failure {
	if err == nil {
		return nil
	}
	var f *failure
	if errors.As(err, &f) {
		out := *f
		out.err = err
		if out.hint == "" {
			out.hint = hint(err)
		}
		return &out
	}
	if (errors.Is(err, context.Canceled) || errors.Is(err, errInterrupted)) && errors.Is(context.Cause(ctx), errInterrupted) {
		return &failure{exit: exitInterrupted, code: codeInterrupted, err: stopped{err}, hint: "nothing that is in the vault is lost: run the command again to go on"}
	}
	exit, code := codesOf(err)
	return &failure{exit: exit, code: code, hint: hint(err), err: err}
}

// stopped says of an error that a signal caused what people did, in place of how the program noticed it.
type stopped struct{ error }

func (s stopped) Error() string {
	return strings.ReplaceAll(s.error.Error(), context.Canceled.Error(), errInterrupted.Error())
}

func (s stopped) Unwrap() error { return s.error }

// flagError explains a mistake in the flags, with the nearest flag there is.
func flagError(cmd *cobra.Command, err error) error {
	var none *pflag.NotExistError
	if errors.As(err, &none) && none.GetSpecifiedShortnames() == "" {
		if near := config.Nearest(none.GetSpecifiedName(), flagNames(cmd)); near != "" {
			return usagef("%w", err).with("--%s is meant, perhaps; run `%s --help`", near, cmd.CommandPath())
		}
	}
	return usagef("%w", err).with("run `%s --help` for the flags", cmd.CommandPath())
}

// flagNames lists the flags that a command knows.
func flagNames(cmd *cobra.Command) []string {
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	return names
}

// unknownCommand says that a command is not known, with the nearest one.
func unknownCommand(cmd *cobra.Command, name string) error {
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	unknown := usagef("%s has no command %q", cmd.CommandPath(), name)
	if near := config.Nearest(name, names); near != "" {
		return unknown.with("`%s %s` is meant, perhaps", cmd.CommandPath(), near)
	}
	return unknown.with("the commands are %s", strings.Join(names, ", "))
}

// arguments checks how many arguments a command has, and says what they are.
func arguments(least, most int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) >= least && (most < 0 || len(args) <= most) {
			return nil
		}
		if most == 0 {
			what = "no arguments"
		}
		return usagef("%s takes %s, not %d arguments", cmd.CommandPath(), what, len(args)).with("run `%s --help`", cmd.CommandPath())
	}
}
