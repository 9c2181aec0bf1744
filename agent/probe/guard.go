package probe

import (
	"context"
	"sync"
	"time"
)

// Turns lets Guards of one directory probe one after the other, so that whoever comes while one probes has its answer. The zero value may be used; it is not to be copied.
//
// Guards that share one, as those of many short runs in one process do, take what was kept less than an hour ago for an answer whatever it said: a store that proves nothing is not
// probed by each of them. `farshore probe` keeps another answer at once.
type Turns struct {
	once sync.Once
	slot chan struct{}
}

// spare is how long an answer other than Protected stands for Guards that share their Turns.
const spare = time.Hour

// Take waits for a turn, or for the end of ctx, whose error it returns. leave ends the turn.
func (t *Turns) Take(ctx context.Context) (leave func(), err error) {
	t.once.Do(func() { t.slot = make(chan struct{}, 1) })
	select {
	case t.slot <- struct{}{}:
		return func() { <-t.slot }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Guard says whether the vault is protected from the credential in use, and probes only where it is not known. It may be used concurrently; whoever comes
// second waits for the first one's answer.
type Guard struct {
	Store    Store
	Attacker Attacker
	Options  Options
	// Dir is the directory of the agent's local state, where the proof is kept, so that runs of one pass each share it.
	Dir string
	// Turns are those that the Guard shares with others of the same directory; nil: it has its own.
	Turns *Turns

	own Turns
}

// Check returns a report that counts now: a fresh proof for the principal that the credential belongs to at this moment, or else that of a new run. It is up
// to the caller what a verdict other than Protected means. Where the new report can't be kept, it is returned together with the error.
func (g *Guard) Check(ctx context.Context) (*Report, error) {
	turns := g.Turns
	if turns == nil {
		turns = &g.own
	}
	leave, err := turns.Take(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	o, err := g.Options.withDefaults()
	if err != nil {
		return nil, err
	}
	last, err := Load(g.Dir)
	if err == nil && last != nil && g.counts(ctx, last, o) {
		return last, nil
	}
	if o.Baseline == nil {
		o.Baseline = Kept(g.Dir, g.Store.Traits().Place)
	}
	r, err := Run(ctx, g.Store, g.Attacker, o)
	if err != nil {
		return nil, err
	}
	return r, Save(g.Dir, r)
}

// counts reports whether the report that is kept still does. Any trouble with finding out who is asking is a reason to probe.
func (g *Guard) counts(ctx context.Context, r *Report, o Options) bool {
	if !r.covers(o) {
		return false
	}
	place := g.Store.Traits().Place
	who, err := g.principal(ctx, o)
	if err == nil && r.Fresh(o.Now(), place, who) {
		return true
	}
	return g.Turns != nil && r.Verdict != Protected && r.Place == place && r.younger(o.Now(), spare) && r.about(who, err)
}

// Again is Check in the course of a run: while last, which Check returned before, is less than 24 hours old and of the principal that the credential belongs to at this moment, it stands, whatever
// it said. So a long run is held to what a new one is held to, and one whose store proves nothing does not probe without end.
func (g *Guard) Again(ctx context.Context, last *Report) (*Report, error) {
	o, err := g.Options.withDefaults()
	if err != nil {
		return nil, err
	}
	if last.younger(o.Now(), proofLife) && last.about(g.principal(ctx, o)) {
		return last, nil
	}
	return g.Check(ctx)
}

// principal asks whose the credential is at this moment.
func (g *Guard) principal(ctx context.Context, o Options) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, o.Request)
	defer cancel()
	return g.Attacker.Principal(ctx)
}

// younger reports whether the report is of less than that time ago, and not of the future.
func (r *Report) younger(now time.Time, age time.Duration) bool {
	return !now.Before(r.Time) && now.Before(r.Time.Add(age))
}

// about reports whether the report is of the principal that was asked for with that answer: one that can't be known is the same as one that could not be.
func (r *Report) about(who string, err error) bool {
	if err != nil {
		return r.Principal == ""
	}
	return who == r.Principal
}
