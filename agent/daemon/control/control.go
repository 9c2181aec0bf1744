// Package control is how commands on the same machine talk to a running daemon: HTTP/1.1 with JSON over a Unix socket. Who may write to the socket may ask everything that is asked here: how the daemon stands, that it
// runs a job now, what came of it, that it reads its configuration anew. Nothing that is asked here shows a secret, and nothing can be told to the daemon that its configuration does not allow.
//
//	GET  /v1/status                 daemon.Status
//	POST /v1/trigger {"job": "…"}   daemon.Triggered; "accept": N beside it accepts what the suspicious snapshot N shows
//	GET  /v1/await?job=…&after=…    history.Run, once the first run of the job that began at after (RFC 3339) or later has ended
//	POST /v1/reload                 {}
//
// What fails is {"error": {"code": "…", "message": "…", "hint": "…"}} with a status of 4xx or 5xx. Each answer names the version of all this in the header Farshore-Control.
package control

import (
	"context"
	"errors"
	"time"

	"farshore/agent/daemon"
	"farshore/agent/daemon/history"
)

const (
	// version is of what is said over the socket; versionHeader is where each answer names it.
	version       = "1"
	versionHeader = "Farshore-Control"

	pathStatus  = "/v1/status"
	pathTrigger = "/v1/trigger"
	pathAwait   = "/v1/await"
	pathReload  = "/v1/reload"

	// maxBody bounds a request's body, maxJob a job's name, both in bytes.
	maxBody = 8 << 10
	maxJob  = 1 << 10
)

// Backend is the daemon, as far as others may ask it. Its methods are called concurrently.
type Backend interface {
	Status() daemon.Status
	// Trigger returns an error that is daemon.ErrNoJob or daemon.ErrRunning where it is one of these.
	// With accept, a number, the pass accepts what that suspicious snapshot shows; 0: none.
	Trigger(job string, accept int64) (daemon.Triggered, error)
	Await(ctx context.Context, job string, after time.Time) (history.Run, error)
	// Reload takes a new configuration, or says what is wrong with it; an *Error where it has a code and a hint for that.
	Reload(ctx context.Context) error
}

// Codes of errors, beside those that a Backend's own *Error has.
const (
	CodeNoJob    = "no_job"    // daemon.ErrNoJob
	CodeRunning  = "running"   // daemon.ErrRunning
	CodeStopping = "stopping"  // the daemon comes to its end
	CodeBusy     = "busy"      // too many others wait
	CodeRequest  = "request"   // what was asked makes no sense
	CodeConfig   = "config"    // a configuration was not taken
	CodeFailed   = "failed"    // anything else
	codeUnknown  = "not_found" // a path that this version does not have
)

// Error is an answer that says what went wrong. It is daemon.ErrNoJob or daemon.ErrRunning where its code says so.
type Error struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

func (e *Error) Error() string { return e.Message }

// Is says that an error with a sentinel's code is the sentinel.
func (e *Error) Is(target error) bool {
	return e.Code == CodeNoJob && target == daemon.ErrNoJob || e.Code == CodeRunning && target == daemon.ErrRunning
}

// asError is what is said of an error of the Backend's.
func asError(err error) *Error {
	var own *Error
	switch {
	case errors.As(err, &own):
		return own
	case errors.Is(err, daemon.ErrNoJob):
		return &Error{Code: CodeNoJob, Message: err.Error()}
	case errors.Is(err, daemon.ErrRunning):
		return &Error{Code: CodeRunning, Message: err.Error()}
	case errors.Is(err, daemon.ErrStopping):
		return &Error{Code: CodeStopping, Message: err.Error(), Hint: "it goes on at its next start"}
	}
	return &Error{Code: CodeFailed, Message: err.Error()}
}
