package daemon

import (
	"time"

	"farshore/agent/daemon/history"
)

// Status is all that is known of a daemon at a moment. It is a copy.
type Status struct {
	Version string    `json:"version"`
	PID     int       `json:"pid"`
	Now     time.Time `json:"now"`
	Started time.Time `json:"started"`
	// Stopping says that it is coming to its end.
	Stopping bool `json:"stopping,omitempty"`
	// Zone is the name of the time zone of schedules.
	Zone     string       `json:"zone"`
	Config   ConfigStatus `json:"config"`
	Vault    string       `json:"vault"`
	Parallel int          `json:"parallel"`
	// Sources are in the order of the configuration.
	Sources []SourceStatus `json:"sources"`
	Probe   *JobStatus     `json:"probe,omitempty"`
	Verify  *JobStatus     `json:"verify,omitempty"`
}

// ConfigStatus says which configuration counts.
type ConfigStatus struct {
	Path   string    `json:"path"`
	Loaded time.Time `json:"loaded"`
	// Problem is why a newer one was refused, at ProblemAt; "" where none was.
	Problem   string    `json:"problem,omitempty"`
	ProblemAt time.Time `json:"problem_at,omitzero"`
}

// JobStatus is how a job stands.
type JobStatus struct {
	Job      string  `json:"job"`
	Schedule string  `json:"schedule"`
	Jitter   float64 `json:"jitter_seconds"`
	// Next are the next times that it is due, with the jitter of the first; empty for a schedule that is off.
	Next []time.Time `json:"next"`
	// Retry says that the first of Next is a try after a failure.
	Retry bool `json:"retry,omitempty"`
	// Waiting is since when it is due and waits for others to end; zero where it does not.
	Waiting time.Time      `json:"waiting,omitzero"`
	Running *RunningStatus `json:"running,omitempty"`
	// Last is its last run that ended; nil where none is known.
	Last *history.Run `json:"last,omitempty"`
	// Failures is how many of its runs failed one after the other until now (exit codes other than 0 and 3).
	Failures int `json:"failures,omitempty"`
}

// RunningStatus is how far a run is.
type RunningStatus struct {
	Since time.Time `json:"since"`
	Cause string    `json:"cause"`
	Measured
	// BytesPerSecond and ItemsPerSecond are of the last minute or so; LeftSeconds is reckoned from them, absent where it can't be known.
	BytesPerSecond float64  `json:"bytes_per_second"`
	ItemsPerSecond float64  `json:"items_per_second"`
	LeftSeconds    *float64 `json:"left_seconds,omitempty"`
	// Moved is when any of its numbers changed last.
	Moved time.Time `json:"moved"`
}

// SourceStatus is how a source stands.
type SourceStatus struct {
	Name string `json:"name"`
	JobStatus
	// Good is its last complete snapshot that is not suspicious, as far as this daemon knows; nil where it knows of none.
	Good *Snapshot `json:"good,omitempty"`
	// AgeSeconds is how old that is; MaxAgeSeconds is how old it may be, 0 where nobody said; Late says that it is older. A source with a MaxAge and no good snapshot is late, too,
	// once it is known for that long, to this daemon or to those before it whose runs are remembered.
	AgeSeconds    float64 `json:"age_seconds,omitempty"`
	MaxAgeSeconds float64 `json:"max_age_seconds,omitempty"`
	Late          bool    `json:"late"`
	// Suspicious says why the newest snapshot is.
	Suspicious []string `json:"suspicious,omitempty"`
	// Backlog is what is known to wait for capture: the rest of the pass under way, or what the last one did not come to.
	Backlog Backlog `json:"backlog"`
}

// Snapshot names a snapshot.
type Snapshot struct {
	Chain string    `json:"chain"`
	Seq   int64     `json:"seq"`
	Hash  string    `json:"hash"`
	Time  time.Time `json:"time"`
}

// Backlog is what waits for capture.
type Backlog struct {
	Items int64 `json:"items"`
	Bytes int64 `json:"bytes"`
}
