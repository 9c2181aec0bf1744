package providers

import "time"

// Options tune a Bucket. The zero value is right for a cloud store and a line of at least a few Mbit/s.
type Options struct {
	// UploadRate and DownloadRate limit the bytes a second of bodies, over all callers of the Bucket; 0 is no limit.
	UploadRate, DownloadRate int64
	// RequestRate limits the requests a second that are begun; 0 is no limit.
	RequestRate float64
	// Common are limits that the Bucket shares with others, in addition to those above.
	Common Limits
	// Attempts is how often one operation is tried before its failure is returned; 0 is 8. With the default waits that bridges
	// about a minute, which is what a store's failover or a rebooting router takes. A longer outage ends the pass,
	// and the next one resumes.
	Attempts int
	// BackoffBase is the longest wait after the first failure, doubled with each further one up to BackoffCap; 0 is 500 ms and 30 s.
	// Each wait is drawn between half of that and all of it, so that many workers do not return at once.
	BackoffBase, BackoffCap time.Duration
	// AttemptBase is how long one request may take apart from its body; 0 is 90 s, above the 60 s after which a driver's own
	// transport should give up with a better error.
	AttemptBase time.Duration
	// MinRate is the slowest body that is waited for, in bytes a second: an attempt ends after AttemptBase + size/MinRate. 0 is 64 KiB/s,
	// so that a 32 MiB pack has ten minutes: eight uploads at once get through a line of 4 Mbit/s. Waits for the rate
	// limits above do not count.
	MinRate int64
	// OnRetry, when not nil, is told of each failure that will be retried: the operation, the name or prefix, the number of failures so far,
	// the wait before the next attempt, and the failure. It is called concurrently and must not block.
	OnRetry func(op, name string, attempt int, wait time.Duration, err error)
}

const (
	defaultAttempts    = 8
	defaultBackoffBase = 500 * time.Millisecond
	defaultBackoffCap  = 30 * time.Second
	defaultAttemptBase = 90 * time.Second
	defaultMinRate     = 64 << 10
)

// withDefaults fills in what is zero.
func (o Options) withDefaults() Options {
	if o.Attempts <= 0 {
		o.Attempts = defaultAttempts
	}
	if o.BackoffBase <= 0 {
		o.BackoffBase = defaultBackoffBase
	}
	if o.BackoffCap <= 0 {
		o.BackoffCap = max(defaultBackoffCap, o.BackoffBase)
	}
	if o.AttemptBase <= 0 {
		o.AttemptBase = defaultAttemptBase
	}
	if o.MinRate <= 0 {
		o.MinRate = defaultMinRate
	}
	return o
}

// allowed is how long an attempt with a body of size bytes may take.
func (o Options) allowed(size int64) time.Duration {
	return o.AttemptBase + time.Duration(float64(size)/float64(o.MinRate)*float64(time.Second))
}
