// Package web shows people how a daemon stands: pages that are made on the server from what is known at the moment, a small script that keeps the first of them up to date, health for
// load balancers and the place for the numbers of a monitoring system. It changes nothing, whatever it is asked, and reads nothing but what Options give it: one report of the vault is
// read when somebody opens it, at most two at a time, and nothing else. It claims nothing that is not known. Names, errors and reasons are strangers' texts: none of them can end a tag,
// turn the direction of what is beside it, or make a page without bounds.
package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"farshore/agent/daemon"
	"farshore/agent/daemon/history"
)

// ErrNoReport is what Shelf.Page returns for a hash that no report has.
var ErrNoReport = errors.New("there is no such report")

// ErrBusy is what Shelf.Page returns where too many were read from the vault of late.
var ErrBusy = errors.New("too many reports were read of late")

// Shelf is what the pages show of the vault's reports and chains. It is called by many goroutines at once, and only Page may read the vault.
type Shelf interface {
	// Reports are those that the daemon knows, newest first, at most a few hundred, and when they were read (zero: not yet). The caller does not change the slice.
	Reports() ([]Report, time.Time)
	// Page renders one, by its hash of 64 hexadecimal digits: a self-contained page of HTML with its own policy in a meta element, and its style in one style element. ErrNoReport
	// where there is none, ErrBusy where it is to be asked for later.
	Page(ctx context.Context, hash string) ([]byte, error)
	// Heads are the newest commits of the chains, and when they were read (zero: not yet). The caller does not change the slice.
	Heads() ([]Head, time.Time)
}

// Report is one of the vault's reports, in a line.
type Report struct {
	// Hash is that of its stored bytes: 64 hexadecimal digits.
	Hash string
	// Kind is its type, Signer the id of the key that signed it, Role what makes that count.
	Kind, Signer, Role string
	// Verdict is an audit's, one of report's words or "" for what has none; Line says what came of it.
	Verdict, Line string
	Time          time.Time
}

// Head is the newest commit of a chain.
type Head struct {
	// Source is the source's name, "" where it is not known.
	Source, Chain string
	Seq           int64
	// Hash is that of the commit: 64 hexadecimal digits.
	Hash string
}

// headDigits is how many digits of a hash are copied: 128 bits, twice what --seen takes at least.
const headDigits = 32

// Text is the form that --seen takes, SEQ:HASH, as `farshore snapshots` prints it.
func (h Head) Text() string {
	return fmt.Sprintf("%d:%s", h.Seq, h.Hash[:min(len(h.Hash), headDigits)])
}

// Options of the pages. Status, Runs and Shelf must be there; all functions are called by many goroutines at once, and must not block for long.
type Options struct {
	Status func() daemon.Status
	// Runs are those that began at or after a time, newest first, at most so many; a copy.
	Runs  func(since time.Time, most int) []history.Run
	Shelf Shelf
	// Metrics answers /metrics; nil: there is none.
	Metrics http.Handler
	// Protection is what is known of the agent's credential; the function and its answer may be nil: then what the last probe of Status says counts.
	Protection func() *history.Probe
	// Token is what a reader must show, as a bearer token or as the password of any user; "": nobody must. It has at least 16 characters.
	Token string
	// Hosts are names by which the pages may be asked for, beside this machine's loopback names and the address that a connection came in at. Ports are not looked at.
	Hosts []string
	// Ready and Alive say why the daemon is not; nil functions: it is.
	Ready, Alive func() error
	Logger       *slog.Logger
	Version      string
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// minToken is how many characters a token has at least.
const minToken = 16

// maxHosts bounds Options.Hosts.
const maxHosts = 100
