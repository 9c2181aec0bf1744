package probe

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"farshore/providers"
)

// Store is what the engine asks of the vault's store; *providers.Bucket is one. None of it changes anything.
type Store interface {
	Traits() providers.Traits
	Stat(ctx context.Context, name string) (providers.Info, error)
	List(ctx context.Context, prefix, after string) iter.Seq2[providers.Info, error]
	Sight(ctx context.Context) (providers.Sight, error)
	History(ctx context.Context, name string) (providers.Name, error)
	ReadVersion(ctx context.Context, name, id string, max int64) ([]byte, error)
	Lock(ctx context.Context, name, id string) (providers.Lock, error)
	Settings(ctx context.Context) (providers.Settings, error)
}

// Roles that a credential can be held to. They say in which rooms it creates.
const (
	Writer   = "writer"   // packs/, meta/, commits/ and reports/
	Auditor  = "auditor"  // reports/
	Restorer = "restorer" // none
	Owner    = "owner"    // vault/
)

// Rooms returns the rooms of a vault, in the order in which they are tried: those that a writer reads come first, because a copy needs something that may be read.
func Rooms() []string { return []string{"meta", "commits", "reports", "packs", "vault"} }

var creates = map[string][]string{Writer: {"meta", "commits", "reports", "packs"}, Auditor: {"reports"}, Restorer: nil, Owner: {"vault"}}

// Options tune a run. The zero value is right for the agent.
type Options struct {
	// Rooms are those that are tried; nil is all.
	Rooms []string
	// Role is what the credential is held to; "" is Writer.
	Role string
	// Baseline, when not nil, are settings that the bucket is held to: where it keeps less than that, it is not Protected. Guard takes those of the earlier report.
	Baseline *providers.Settings
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Progress, when not nil, is told of each attempt as it ends.
	Progress func(Attempt)
	// Limit bounds the whole run; 0 is 2 minutes. What is not reached is unknown.
	Limit time.Duration
	// Request bounds one request; 0 is 20 s.
	Request time.Duration
}

const (
	defaultLimit   = 2 * time.Minute
	defaultRequest = 20 * time.Second
	// tries is how often something is tried that ends in a disturbance; firstWait is the wait after the first, doubled each time.
	tries = 3
	// patience is how many attempts in a row may be given up before each is made once only, until the store answers again: it seems to be away.
	patience  = 3
	firstWait = 500 * time.Millisecond
	// proofLife is how long a proof counts.
	proofLife = 24 * time.Hour
)

func (o Options) withDefaults() (Options, error) {
	if o.Role == "" {
		o.Role = Writer
	}
	if _, ok := creates[o.Role]; !ok {
		return o, fmt.Errorf("probe: the role %q is none of writer, auditor, restorer and owner", o.Role)
	}
	if o.Rooms == nil {
		o.Rooms = Rooms()
	}
	if len(o.Rooms) == 0 {
		return o, errors.New("probe: no room is named")
	}
	for i, room := range o.Rooms {
		if !slices.Contains(Rooms(), room) || slices.Contains(o.Rooms[:i], room) {
			return o, fmt.Errorf("probe: %q is not a room of a vault, or named twice: they are packs, meta, commits, reports and vault", room)
		}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Limit <= 0 {
		o.Limit = defaultLimit
	}
	if o.Request <= 0 {
		o.Request = defaultRequest
	}
	return o, nil
}

// mayCreate reports whether the role creates in the room.
func (o Options) mayCreate(room string) bool { return slices.Contains(creates[o.Role], room) }

// order returns the rooms with those first in which the role creates: a creation that works there shows that the credential does, where the others deny it.
func (o Options) order() []string {
	var may, not []string
	for _, room := range Rooms() {
		switch {
		case !slices.Contains(o.Rooms, room):
		case o.mayCreate(room):
			may = append(may, room)
		default:
			not = append(not, room)
		}
	}
	return append(may, not...)
}

// run is one run of the probe.
type run struct {
	store  Store
	a      Attacker
	o      Options
	r      *Report
	prefix string // the vault's, as the bucket sees it
	known  bool   // whether prefix could be told
	// reference is a room in which the credential has created something; "" for none yet.
	reference string
	// locks are those of canaries as they were made, one a room.
	locks []lockSeen
	// held are the attempts, by their place, whose answer had its reason in the object.
	held map[int]bool
	// bare are the rooms whose canaries have no lock that was seen.
	bare []string
	// answered is whether the store answered any attempt; silent is how many in a row were given up.
	answered bool
	silent   int
}

type lockSeen struct {
	room string
	lock providers.Lock
	err  error
}

// Run tries everything that the attacker knows, in each room and on the bucket, and says what it comes to. It takes a few seconds, and leaves a
// few canaries of less than 200 bytes. The report is whole even where the store hardly answered; the error is the context's end, a store that
// answered nothing at all, or options that make no sense.
func Run(ctx context.Context, s Store, a Attacker, o Options) (*Report, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	traits, now := s.Traits(), o.Now().UTC()
	p := &run{store: s, a: a, o: o, held: map[int]bool{}, r: &Report{Store: traits.Kind, Place: traits.Place, Role: o.Role, Rooms: o.order(), Time: now, Expires: now, Canaries: []string{}}}
	p.prefix, p.known = prefixOf(traits.Place)
	bounded, cancel := context.WithTimeout(ctx, o.Limit)
	defer cancel()
	p.principal(bounded)
	before := p.settings(bounded)
	p.r.Settings = before
	p.hold(o.Baseline)
	for _, room := range p.r.Rooms {
		p.room(bounded, room)
	}
	p.bucket(bounded)
	p.compare(before, p.settings(bounded))
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if !p.answered && len(p.r.Attempts) > 0 {
		return nil, fmt.Errorf("the store at %s answered nothing, so that nothing is known: %s", p.r.Place, p.r.Attempts[0].Text)
	}
	p.note(a.Notes()...)
	p.judge()
	p.limits()
	return p.r, nil
}

// principal asks whom the credential belongs to. A store that can't tell is no failure: its proof just counts for one run only.
func (p *run) principal(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, p.o.Request)
	defer cancel()
	who, err := p.a.Principal(ctx)
	if err != nil {
		p.note("whom the credential belongs to could not be told: " + err.Error())
		return
	}
	p.r.Principal = who
}

// settings reads how the bucket keeps what it holds. A failure is what could not be read.
func (p *run) settings(ctx context.Context) providers.Settings {
	ctx, cancel := context.WithTimeout(ctx, p.o.Request)
	defer cancel()
	s, err := p.store.Settings(ctx)
	if err != nil {
		return providers.Settings{Unknown: map[string]string{"all": err.Error()}}
	}
	return s
}

func (p *run) note(notes ...string) {
	for _, n := range notes {
		if n != "" && !slices.Contains(p.r.Notes, n) {
			p.r.Notes = append(p.r.Notes, n)
		}
	}
}

// ask makes one attempt at f, which is one request or a few, and again a few times where it was disturbed.
func (p *run) ask(ctx context.Context, f func(context.Context) Result) Result {
	wait, most := firstWait, tries
	if p.silent >= patience {
		most = 1
	}
	for i := 1; ; i++ {
		if ctx.Err() != nil {
			return Result{Answer: Unknown, Text: fmt.Sprintf("not tried: the whole probe took longer than %v", p.o.Limit)}
		}
		one, cancel := context.WithTimeout(ctx, p.o.Request)
		r := f(one)
		cancel()
		if !r.Temporary {
			if r.Answer != Unknown || r.Code != "" { // the store said something, and it was not just left untried
				p.answered, p.silent = true, 0
			}
			return sane(r)
		}
		if i == most {
			p.silent++
			r.Answer = Unknown
			r.Text = fmt.Sprintf("given up after %d attempts: %s", most, r.Text)
			return r
		}
		pause(ctx, wait)
		wait *= 2
	}
}

// sane makes everything Unknown that is no answer that this package knows.
func sane(r Result) Result {
	if r.Answer != Denied && r.Answer != Permitted {
		r.Answer = Unknown
	}
	r.Absent, r.Held = r.Absent && r.Answer == Unknown, r.Held && r.Answer == Unknown
	return r
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// record puts down one attempt and what came back.
func (p *run) record(at Attempt, r Result) int {
	at.Answer, at.Code, at.Text, at.Moot = r.Answer, r.Code, r.Text, r.Absent
	p.r.Attempts = append(p.r.Attempts, at)
	if p.o.Progress != nil {
		p.o.Progress(at)
	}
	i := len(p.r.Attempts) - 1
	if r.Held {
		p.held[i] = true
	}
	return i
}
