package agent

import (
	"context"
	"time"

	"farshore/agent/tripwire"
)

// Options say how a pass is made. The zero value is usable.
type Options struct {
	// Match says which paths take part; nil means all. Others keep the record that they have.
	Match func(path string) bool
	// CommitEvery and CommitBytes say how much time and how many new bytes may pass before what is whole is committed. Defaults: 10
	// minutes, 8 GiB.
	CommitEvery time.Duration
	CommitBytes int64
	// ReadRate is how many bytes of contents are read per second at most; 0 is no limit.
	ReadRate int64
	// Reads, when not nil, is a limit of bytes of contents read that this pass shares with others, beside ReadRate.
	Reads Limiter
	// Captures is how many items are read at a time; default 16.
	Captures int
	// Finish is how long, after the context's end, what is under way may take to be stored and committed. Then the pass ends with what was committed before; what was stored and no commit
	// names is found again by the next one. 0 is as long as the store takes: each request has its own deadline, of minutes, and is tried again.
	Finish time.Duration
	// Allow, when not nil, is asked before each commit. Its error ends the pass, and nothing more is committed.
	Allow func(context.Context) error
	// Tripwire says which change of the source makes a snapshot suspicious; nil: none is looked for.
	Tripwire *tripwire.Thresholds
	// Accept is the number of a suspicious snapshot that a person has looked at: this pass is compared with that one. 0: none.
	Accept int64
	// Progress is counted up as the pass goes; nil means nobody looks.
	Progress *Progress
}

// Limiter is a limit that several passes share.
type Limiter interface {
	// Wait returns nil when n more bytes may pass, and an error when ctx ends before that. It is called concurrently.
	Wait(ctx context.Context, n int) error
}

func (o *Options) defaults() {
	if o.Match == nil {
		o.Match = func(string) bool { return true }
	}
	if o.CommitEvery <= 0 {
		o.CommitEvery = 10 * time.Minute
	}
	if o.CommitBytes <= 0 {
		o.CommitBytes = 8 << 30
	}
	if o.Captures <= 0 {
		o.Captures = 16
	}
	if o.Progress == nil {
		o.Progress = new(Progress)
	}
}
