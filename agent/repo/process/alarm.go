package process

import (
	"sync"
	"time"
)

// alarm ends a program that does not get on while it is waited for: what it prints is asked for, and its input is there for it to take, or is at its end. The time
// stands still while nobody reads what it prints, since it may then be held up by that, and while its input is being fetched, since it may wait for that.
type alarm struct {
	idle time.Duration // 0: never
	ring func()

	mu       sync.Mutex
	timer    *time.Timer // nil until it first runs
	since    time.Time   // when the time began to run
	reading  bool        // somebody waits for what the program prints
	fetching bool        // the program's next input is not there yet
	rang     bool
}

// read says whether what the program prints is waited for from now on.
func (a *alarm) read(on bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.reading = on
	a.set()
}

// fetch says whether the program's input is being fetched from now on.
func (a *alarm) fetch(on bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fetching = on
	a.set()
}

// set begins the time anew or stops it: each call of it says that something got on.
func (a *alarm) set() {
	switch {
	case a.idle == 0 || a.rang:
	case !a.reading || a.fetching:
		if a.timer != nil {
			a.timer.Stop()
		}
	default:
		a.since = time.Now()
		if a.timer == nil {
			a.timer = time.AfterFunc(a.idle, a.fire)
		} else {
			a.timer.Reset(a.idle)
		}
	}
}

// fire ends the program, unless the time was stopped or begun anew in this moment.
func (a *alarm) fire() {
	a.mu.Lock()
	late := a.reading && !a.fetching && time.Since(a.since) >= a.idle
	a.rang = a.rang || late
	a.mu.Unlock()
	if late {
		a.ring()
	}
}

// stalled reports whether the alarm ended the program.
func (a *alarm) stalled() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.rang
}
