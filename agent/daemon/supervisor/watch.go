package supervisor

import (
	"context"
	"log/slog"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// longest is the longest time between two looks at the daemon.
const longest = 10 * time.Second

// Watch tells systemd that the daemon is alive and what it does, until ctx ends: three times within the time that the watchdog waits, and as long as alive says so. alive and status are asked one after
// the other, by one goroutine at a time. Who does not answer until the next look is not alive: systemd hears nothing, and ends the daemon when the watchdog's time is over. Watch waits for
// no answer when ctx ends.
func (s *Supervisor) Watch(ctx context.Context, alive func() bool, status func() string) {
	if s == nil {
		return
	}
	w := watch{s: s, alive: alive, status: status}
	every := longest
	if s.watchdog > 0 {
		every = min(longest, s.watchdog/3)
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		w.ask()
		select {
		case <-ctx.Done():
			return
		case a := <-w.asked:
			w.asked = nil
			w.heard(a)
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		case <-tick.C:
			w.heard(answer{})
		}
	}
}

// watch is one that goes on.
type watch struct {
	s      *Supervisor
	alive  func() bool
	status func() string
	// asked gets the answer that is waited for; nil where none is.
	asked chan answer
	// text is what systemd was told last; dead and deaf are what the log was told.
	text       string
	dead, deaf bool
}

type answer struct {
	alive bool
	text  string
}

// ask asks, unless the last question is still open.
func (w *watch) ask() {
	if w.asked != nil {
		return
	}
	asked := make(chan answer, 1) // so that whoever answers late does not wait for somebody to listen
	w.asked = asked
	go func() {
		a := answer{alive: w.alive()}
		if a.alive {
			a.text = w.status()
		}
		asked <- a
	}()
}

// heard tells systemd, and the log what changed.
func (w *watch) heard(a answer) {
	if a.alive == w.dead {
		w.dead = !a.alive
		w.say(w.dead, "the daemon does not answer: systemd is not told that it is alive", "the daemon answers again")
	}
	if !a.alive {
		return
	}
	lines := []string{}
	if w.s.watchdog > 0 {
		lines = append(lines, daemon.SdNotifyWatchdog)
	}
	if a.text != w.text {
		lines = append(lines, status(a.text))
	}
	if len(lines) == 0 {
		return
	}
	err := w.s.tell(lines...)
	if err == nil {
		w.text = a.text
	}
	if (err != nil) != w.deaf {
		w.deaf = err != nil
		w.say(w.deaf, "systemd is not told how the daemon is", "systemd is told again how the daemon is", slog.Any("error", err))
	}
}

// say logs that something is wrong, or well again.
func (w *watch) say(wrong bool, bad, good string, about ...any) {
	switch {
	case w.s.log == nil:
	case wrong:
		w.s.log.Warn(bad, about...)
	default:
		w.s.log.Info(good)
	}
}
