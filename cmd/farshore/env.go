package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"

	"farshore/agent"
	"farshore/agent/config"
	"farshore/agent/metrics"
)

// env is what a command has of the outside world, and the flags that all commands have.
type env struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string
	now            func() time.Time
	// width returns the columns of the terminal that stderr is, 0 when it is none.
	width func() int
	// exit ends the process at once, for a second interrupt.
	exit  func(int)
	flags commonFlags
	out   *output
	// sight is what the vault that is being read is held to; nil before one is opened.
	sight *sight
	// proven is what is known of the agent's credential at the vault that is being read; nil before one is opened, and where it is not the configuration's.
	proven *protection
	// shared is what this run shares with others of the process; nil: nothing.
	shared *sharing
	// asStateOwner has a session work with the rights of the local state's owner, where root runs the command: it opens no source, whose credentials may be root's.
	asStateOwner bool
	// What follows is set where the daemon runs a command. inForce is the configuration that counts, whatever the file says by now; progress is counted up by the one pass, measure
	// is told how to see how far an audit is, and board takes the numbers of every run.
	inForce  *config.Config
	progress *agent.Progress
	measure  func(poll)
	board    *metrics.Board
}

// commonFlags are the flags of every command.
type commonFlags struct {
	config     string
	vault      string
	identities []string
	ownerPub   string
	state      string
	json       bool
	quiet      bool
	verbose    bool
	// seen is of the commands that read the vault.
	seen []string
}

// systemEnv is the process's own environment.
func systemEnv() *env {
	return &env{
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr,
		getenv: os.Getenv, now: time.Now, exit: os.Exit,
		width: func() int { return columns(os.Stderr) },
	}
}

// columns returns the width of a terminal, 0 for what is none.
func columns(f *os.File) int {
	if !term.IsTerminal(int(f.Fd())) {
		return 0
	}
	w, _, err := term.GetSize(int(f.Fd()))
	if err != nil || w <= 0 {
		return 80
	}
	return w
}

// warn tells people something that they must not miss, also when they asked for quiet.
func (e *env) warn(format string, args ...any) {
	fmt.Fprintln(e.stderr, e.paint(yellow, "warning:"), shown(fmt.Sprintf(format, args...)))
}

// say tells people something in passing.
func (e *env) say(format string, args ...any) {
	if !e.flags.quiet {
		fmt.Fprintf(e.stderr, format+"\n", args...)
	}
}

// detail tells people something that they asked for with --verbose.
func (e *env) detail(format string, args ...any) {
	if e.flags.verbose && !e.flags.quiet {
		fmt.Fprintf(e.stderr, format+"\n", args...)
	}
}

// Colours, as SGR parameters.
const (
	red    = "31"
	yellow = "33"
	cyan   = "36"
)

// smart reports whether stderr is a terminal that can redraw a line.
func (e *env) smart() bool {
	t := e.getenv("TERM")
	return e.width() > 0 && t != "" && t != "dumb"
}

// paint colours a text, where there is a terminal that shows colours and a user who wants them (https://no-color.org).
func (e *env) paint(colour, text string) string {
	if !e.smart() || e.getenv("NO_COLOR") != "" {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}
