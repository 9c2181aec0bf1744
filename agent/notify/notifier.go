package notify

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"
)

const (
	// Total bounds how long an event is on its way, with all attempts; Wait takes no longer from the last Tell on.
	Total = 30 * time.Second
	// maxAttempts is how often a message is tried, maxSending how many are on their way at a time.
	maxAttempts = 3
	maxSending  = 8
	// maxMessages is how many messages a channel is given by one run, and as many alarms beyond them: whoever is paged a thousand times for one cause looks away.
	maxMessages = 100
	// firstPause is between the first attempt and the second; each one after is four times as long.
	firstPause = time.Second
)

// Sender sends a message, in one attempt with a deadline. Its errors are a *Fault.
type Sender interface {
	Send(ctx context.Context, m *Message) error
}

// Channel is one way to tell people.
type Channel struct {
	Name string
	// On are the outcomes that it is told of. What it was told is bad it is told when it is well again, too.
	On []Outcome
	// Names says that names may leave this machine by it.
	Names bool
	// Sender is nil where Broken says why the channel can't be used.
	Sender Sender
	Broken error
}

// Result is what came of an event, or of a ping, on one channel.
type Result struct {
	// Channel is the channel's name, or "ping".
	Channel string
	Kind    Kind
	Outcome Outcome
	// Sent says that it was taken, Held that the same was told not long ago. Where neither is true, Err says why.
	Sent, Held bool
	Err        error
}

// Options of a Notifier.
type Options struct {
	Channels []Channel
	// State is the directory where it is remembered what was told; "" remembers nothing.
	State string
	// Now is the clock, Pause waits between attempts; nil are those of the system.
	Now   func() time.Time
	Pause func(context.Context, time.Duration) error
}

// Notifier tells channels of events, in the background. It may be used concurrently, but for Wait, which is called last.
type Notifier struct {
	o       Options
	state   keep
	slots   chan struct{}
	running sync.WaitGroup
	mu      sync.Mutex
	given   map[string]int // messages, by channel
	results []Result
	trouble []error
}

// New returns a notifier. It calls nobody.
func New(o Options) *Notifier {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Pause == nil {
		o.Pause = pause
	}
	return &Notifier{o: o, state: keep(o.State), slots: make(chan struct{}, maxSending), given: map[string]int{}}
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// background is a context for what is told of a run: it outlives the run's own, which may have been interrupted, and ends by itself.
func background(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), Total)
}

// Tell tells the channels that want it, and returns at once.
func (n *Notifier) Tell(ctx context.Context, e Event) {
	now := n.o.Now()
	if e.Time.IsZero() {
		e.Time = now
	}
	if len(n.o.Channels) == 0 {
		return
	}
	m, err := n.state.read()
	if err != nil {
		n.note(err)
	}
	for _, c := range n.o.Channels {
		about := topic{c.Name, e.Kind, e.Source}
		send, recovered := m.of(about).decide(&e, slices.Contains(c.On, e.Outcome), now)
		if e.Kind == Test {
			send, recovered = true, false
		}
		switch {
		case send && n.full(c.Name, e.Outcome):
			n.result(Result{Channel: c.Name, Kind: e.Kind, Outcome: e.Outcome, Err: errMany})
		case send:
			n.spawn(ctx, c, about, &e, recovered)
		case slices.Contains(c.On, e.Outcome) && !e.Quiet:
			n.result(Result{Channel: c.Name, Kind: e.Kind, Outcome: e.Outcome, Held: true})
		}
	}
}

// full counts a message for a channel, and reports whether that was given enough by this run.
func (n *Notifier) full(channel string, outcome Outcome) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	most := maxMessages
	if outcome == Alarm {
		most *= 2
	}
	if n.given[channel] >= most {
		return true
	}
	n.given[channel]++
	return false
}

// spawn sends one message in the background.
func (n *Notifier) spawn(ctx context.Context, c Channel, about topic, e *Event, recovered bool) {
	ctx, cancel := background(ctx)
	n.running.Go(func() {
		defer cancel()
		err := c.Broken
		if err == nil {
			message := e.message(c.Names, recovered)
			err = n.attempts(ctx, func() error { return c.Sender.Send(ctx, message) })
		}
		n.result(Result{Channel: c.Name, Kind: e.Kind, Outcome: e.Outcome, Sent: err == nil, Err: err})
		if err == nil && e.Kind != Test {
			if err := n.state.note(ctx, about, e, n.o.Now()); err != nil {
				n.note(err)
			}
		}
	})
}

// attempts tries until it is done, can't be done, or the time is over.
func (n *Notifier) attempts(ctx context.Context, send func() error) error {
	select {
	case n.slots <- struct{}{}:
		defer func() { <-n.slots }()
	case <-ctx.Done():
		return fault(ctx.Err())
	}
	wait := firstPause
	for i := 1; ; i++ {
		err := fault(send())
		f, _ := err.(*Fault)
		if f == nil || !f.again || i == maxAttempts || n.o.Pause(ctx, wait) != nil {
			return err
		}
		wait *= 4
	}
}

func (n *Notifier) result(r Result) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.results = append(n.results, r)
}

// note keeps a few of the troubles with what is remembered.
func (n *Notifier) note(err error) {
	const most = 10
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.trouble) < most && !slices.ContainsFunc(n.trouble, func(old error) bool { return old.Error() == err.Error() }) {
		n.trouble = append(n.trouble, err)
	}
}

// Wait waits for all that is on its way, at most Total. It returns what came of it, by channel, and what was wrong with the memory of what was told.
func (n *Notifier) Wait() ([]Result, []error) {
	n.running.Wait()
	n.mu.Lock()
	defer n.mu.Unlock()
	slices.SortStableFunc(n.results, func(a, b Result) int { return cmp.Compare(a.Channel, b.Channel) })
	return n.results, n.trouble
}

// Switch is a dead man's switch of one source, or of audits: a service that raises the alarm when it is not called in time.
type Switch struct {
	n     *Notifier
	ping  *ping
	begun chan struct{}
	err   error
}

// NewSwitch returns the switch at an address, which is a secret. An address that can't be called shows when it is called.
func (n *Notifier) NewSwitch(address string, broken error) *Switch {
	s := &Switch{n: n, err: broken}
	if broken == nil {
		s.ping, s.err = newPing(address)
	}
	return s
}

// Check reports why the switch can't be called, as far as that is known without calling it.
func (s *Switch) Check() error { return s.err }

// Begin says that something begins, and returns at once. It is tried once: what matters is the end.
func (s *Switch) Begin(ctx context.Context) {
	if s.err != nil {
		return
	}
	s.begun = make(chan struct{})
	ctx, cancel := background(ctx)
	s.n.running.Go(func() {
		defer cancel()
		defer close(s.begun)
		if err := s.ping.begin(ctx); err != nil {
			s.n.result(Result{Channel: "ping", Err: err})
		}
	})
}

// End says what came of it, after Begin has come to its end, and returns at once.
func (s *Switch) End(ctx context.Context, e Event) {
	if s.err != nil {
		s.n.result(Result{Channel: "ping", Kind: e.Kind, Outcome: e.Outcome, Err: s.err})
		return
	}
	if e.Time.IsZero() {
		e.Time = s.n.o.Now()
	}
	ctx, cancel := background(ctx)
	s.n.running.Go(func() {
		defer cancel()
		if s.begun != nil {
			<-s.begun // it has a deadline of its own, which is earlier
		}
		err := s.n.attempts(ctx, func() error { return s.ping.end(ctx, &e) })
		s.n.result(Result{Channel: "ping", Kind: e.Kind, Outcome: e.Outcome, Sent: err == nil, Err: err})
	})
}
