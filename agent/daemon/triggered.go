package daemon

import (
	"errors"
	"fmt"
	"time"
)

// Errors of Trigger and Await, for errors.Is.
var (
	// ErrNoJob is for a job that the plan does not have. Its text names those that it has.
	ErrNoJob = errors.New("no such job")
	// ErrRunning is for a job that runs already; the error is a *RunningError.
	ErrRunning = errors.New("it runs already")
	// ErrStopping is for a daemon that comes to its end or has ended.
	ErrStopping = errors.New("the daemon is stopping")
)

// RunningError says that a job runs already, and since when. It is ErrRunning.
type RunningError struct {
	Job   string
	Since time.Time
}

func (e *RunningError) Error() string {
	return fmt.Sprintf("%s runs already, since %s", e.Job, e.Since.Format(time.RFC3339))
}

func (e *RunningError) Is(target error) bool { return target == ErrRunning }

// Triggered says what came of a Trigger.
type Triggered struct {
	Job string `json:"job"`
	// At is when it was queued: what Await takes to see the run that comes of it.
	At time.Time `json:"at"`
	// Waiting says that it was due already and waited for a slot. It goes before those that were not triggered now.
	Waiting bool `json:"waiting,omitempty"`
}
