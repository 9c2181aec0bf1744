package probe

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// judge makes findings and a verdict of what came back.
func (p *run) judge() {
	p.settle()
	rules := p.early()
	p.r.Findings = []Finding{p.finding(CreateOnly), p.finding(NoDestroy), p.finding(NoShorten), p.nobody()}
	harm, open := p.harms(rules), p.open()
	switch {
	case len(harm) > 0:
		p.r.Verdict, p.r.Grants = Unprotected, grantsOf(p.needed(append(harm[:len(harm):len(harm)], p.removals()...)))
		p.r.Words = p.unprotected(harm, rules)
	case len(open) > 0 || p.tried() == 0:
		p.r.Verdict = Unproven
		p.r.Words = p.unproven(open)
	case len(p.r.Weaker) > 0:
		p.r.Verdict = Unproven
		p.r.Words = "unproven: whatever this credential tried that destroys, the store denied or kept the locked original, but somebody weakened the bucket"
	case p.consumed():
		p.r.Verdict = Unproven
		p.r.Words = "unproven: whatever this credential tried that destroys, the store denied or kept the locked original, but " + p.rulesText() + ", and no lock keeps any: take the rules away"
	default:
		p.r.Verdict, p.r.Expires = Protected, p.r.Time.Add(proofLife)
		p.r.Words = p.protected()
	}
	if len(p.r.Weaker) > 0 {
		p.r.Words += "; the bucket keeps less than it did: " + strings.Join(p.r.Weaker, ", ") + ": put it back, or accept it if it was you"
	}
	p.excess()
}

// settle finds the attempts to shorten a lock whose answer does not matter: the store looked at the lock, or for it, before it asked about the credential. Where
// all locks that were seen bind everybody, and the store does deny the credential the same elsewhere, nothing hangs on that answer.
func (p *run) settle() {
	for i := range p.r.Attempts {
		a := &p.r.Attempts[i]
		if !p.held[i] || a.Property != NoShorten || a.Harm != Loosens || !p.bound() {
			continue
		}
		if slices.ContainsFunc(p.r.Attempts, func(b Attempt) bool { return b.Probe == a.Probe && b.Answer == Denied }) {
			a.Moot = true
			a.Text = join("it does not matter, since nobody can lift such a lock", a.Text)
		}
	}
}

// bound reports whether the lock of every canary, and the bucket's default, binds everybody.
func (p *run) bound() bool {
	for _, l := range p.locks {
		if l.err != nil || !l.lock.Mode.Binding() {
			return false
		}
	}
	return len(p.locks) > 0 && p.r.Settings.Mode.Binding()
}

// counts reports whether an attempt says something about the properties.
func (a *Attempt) counts() bool { return a.Property != Control && a.Harm != Excess && !a.Moot }

// hides reports whether something was laid over a name.
func (a *Attempt) hides() bool { return a.counts() && a.Harm == Hides && a.Answer == Permitted }

// tried is how many attempts count.
func (p *run) tried() (n int) {
	for i := range p.r.Attempts {
		if p.r.Attempts[i].counts() {
			n++
		}
	}
	return n
}

// harms are the attempts that destroyed something, or opened the way to it. A hide is one where the original is gone or not locked beneath, and where the
// bucket itself removes what is hidden.
func (p *run) harms(rules []string) (out []Attempt) {
	for _, a := range p.r.Attempts {
		if !a.counts() || a.Answer != Permitted {
			continue
		}
		if a.Harm != Hides || a.Fate == Gone || a.Fate == Unlocked || len(rules) > 0 {
			out = append(out, a)
		}
	}
	return out
}

// open are the attempts after which nothing is known.
func (p *run) open() (out []Attempt) {
	for _, a := range p.r.Attempts {
		if a.counts() && (a.Answer == Unknown || a.hides() && a.Fate != Locked) {
			out = append(out, a)
		}
	}
	return out
}

// finding says what the attempts against one property come to.
func (p *run) finding(property Property) Finding {
	var denied, permitted, unknown, beneath []Attempt
	for _, a := range p.r.Attempts {
		switch {
		case a.Property != property || !a.counts():
		case a.Answer == Denied:
			denied = append(denied, a)
		case a.Answer == Permitted && a.Harm == Hides && a.Fate == Locked:
			beneath = append(beneath, a)
		case a.Answer == Permitted:
			permitted = append(permitted, a)
		default:
			unknown = append(unknown, a)
		}
	}
	f := Finding{Property: property, Answer: Denied}
	var text []string
	if len(permitted) > 0 {
		f.Answer = Permitted
		text = append(text, "permitted: "+list(permitted))
	}
	if len(beneath) > 0 {
		f.Answer = Permitted
		text = append(text, list(beneath)+" leaves the locked original beneath it")
	}
	if len(unknown) > 0 {
		if f.Answer == Denied {
			f.Answer = Unknown
		}
		text = append(text, "unknown: "+list(unknown))
	}
	if len(denied) > 0 {
		text = append(text, fmt.Sprintf("%d of %d attempts were denied", len(denied), len(denied)+len(permitted)+len(unknown)+len(beneath)))
	}
	if len(text) == 0 {
		f.Answer, text = Unknown, []string{"there is nothing to try at this kind of store"}
	}
	if property == NoDestroy && p.rulesText() != "" {
		text = append(text, p.rulesText())
	}
	f.Text = strings.Join(text, "; ")
	return f
}

// nobody says until when nobody at all can remove what is stored: the earliest end among the locks that the store put on new canaries by itself. A lock that the
// credential was seen to shorten proves nothing.
func (p *run) nobody() Finding {
	f := Finding{Property: NobodyTill, Answer: Unknown}
	var until time.Time
	var in []string
	for _, l := range p.locks {
		switch {
		case l.err != nil:
			f.Text = fmt.Sprintf("not proven: the lock of a new object under %s/ could not be read: %v", l.room, l.err)
			return f
		case !l.lock.Mode.Binding() || !l.lock.Until.After(p.r.Time):
			f.Text = fmt.Sprintf("not proven: no lock that binds everybody is on a new object under %s/", l.room)
			return f
		case until.IsZero() || l.lock.Until.Before(until):
			until = l.lock.Until
		}
		in = append(in, l.room)
	}
	switch {
	case until.IsZero():
		f.Text = "not proven: there is no canary whose lock could be read"
		return f
	case slices.ContainsFunc(p.r.Attempts, func(a Attempt) bool { return a.Property == NoShorten && a.counts() && a.Answer == Permitted }):
		f.Text = "not proven: this credential may shorten or loosen what keeps new objects"
		return f
	case slices.ContainsFunc(p.r.Attempts, func(a Attempt) bool { return a.Fate == Gone }):
		f.Text = "not proven: a canary is gone"
		return f
	}
	p.r.Until = until.UTC()
	f.Answer = Denied
	f.Text = fmt.Sprintf("what is stored now %s is locked until %s", rooms(in), stamp(until))
	if len(p.bare) > 0 {
		f.Text += fmt.Sprintf("; not looked at %s, where this credential does not create", rooms(p.bare))
	}
	return f
}

// protected says under what conditions all is well.
func (p *run) protected() string {
	words := "protected: whatever this credential tried to overwrite, delete, shorten or loosen, the store denied"
	if over := p.laid(); len(over) > 0 {
		words = "protected: nothing that this credential may do destroys, and " + list(over) + " leaves the locked original beneath it"
	}
	if !p.r.Until.IsZero() {
		words += "; nobody at all can remove before " + stamp(p.r.Until) + " what is stored now"
	}
	return words + except(p.o.Rooms)
}

// except names the rooms that were left out.
func except(tried []string) string {
	var out []string
	for _, room := range Rooms() {
		if !slices.Contains(tried, room) {
			out = append(out, room)
		}
	}
	if len(out) == 0 {
		return ""
	}
	return "; nothing was tried " + rooms(out)
}

// laid are the attempts that laid something over a name.
func (p *run) laid() (out []Attempt) {
	for _, a := range p.r.Attempts {
		if a.hides() {
			out = append(out, a)
		}
	}
	return out
}

// removals are the attempts that hid something by deleting it. No role needs them, and on some services it is their permission that removes versions too.
func (p *run) removals() (out []Attempt) {
	for _, a := range p.laid() {
		if a.Property == NoDestroy {
			out = append(out, a)
		}
	}
	return out
}

// needed leaves out the attempts with a bypass of locks where the same was permitted without: it is not that permission which allowed it.
func (p *run) needed(attempts []Attempt) (out []Attempt) {
	for _, a := range attempts {
		plain, bypass := strings.CutSuffix(a.Probe, "-bypass")
		if !bypass || !slices.ContainsFunc(attempts, func(b Attempt) bool { return b.Room == a.Room && b.Probe == plain }) {
			out = append(out, a)
		}
	}
	return out
}

func (p *run) unprotected(harm []Attempt, rules []string) string {
	words := "unprotected: this credential may " + list(harm)
	if len(p.r.Grants) > 0 {
		words += ": take away " + strings.Join(p.r.Grants, ", ")
	}
	for _, why := range []struct {
		fate Fate
		text string
	}{{Gone, "what it lies over is gone"}, {Unlocked, "what it hides stays beneath, but no lock keeps it there for as long as it should, so that whoever administers the bucket, or a rule of its own, can remove it"}} {
		if slices.ContainsFunc(harm, func(a Attempt) bool { return a.Fate == why.fate }) {
			words += "; " + why.text
		}
	}
	if len(rules) > 0 && len(p.laid()) > 0 {
		words += "; and the bucket removes what is hidden: " + strings.Join(rules, "; ")
	}
	return words
}

func (p *run) unproven(open []Attempt) string {
	if len(open) == 0 {
		return "unproven: there is nothing to try at this kind of store"
	}
	words := fmt.Sprintf("unproven: nothing destructive was seen to be permitted, but %d of %d attempts had an answer that proves nothing: %s", len(open), p.tried(), list(open))
	if grants := grantsOf(open); len(grants) > 0 {
		words += "; it may have " + strings.Join(grants, ", ")
	}
	first := open[0]
	return words + "; the first answer: " + join(first.Code, first.Text)
}

// limits notes what no run of the probe can see.
func (p *run) limits() {
	p.note("it was canaries that were tried, now and from here: what a policy permits for other names (packs/0a/…), at other times or from other networks alone is not seen")
	if len(p.laid()) > 0 {
		p.note("what can be laid over an object hides it, and only its own lock keeps it beneath: what was stored longer ago is locked for less time, or no more")
	}
}

// excess notes what is permitted, destroys nothing, and is not needed.
func (p *run) excess() {
	var extra []Attempt
	for _, a := range p.r.Attempts {
		if a.Harm == Excess && a.Answer == Permitted {
			extra = append(extra, a)
		}
	}
	if len(extra) > 0 {
		p.note("permitted, destroys nothing, and the role " + p.o.Role + " does not need it: " + list(extra) + ": better take away " + strings.Join(grantsOf(extra), ", "))
	}
	if text := p.rulesText(); text != "" {
		p.note(text)
	}
	for _, name := range []string{"all", "versioning", "lock", "rules"} {
		if why := p.r.Settings.Unknown[name]; why != "" {
			p.note("of the bucket's settings, " + name + " could not be read: " + why)
		}
	}
}

// grantsOf returns the permissions of the attempts, each once, sorted.
func grantsOf(attempts []Attempt) []string {
	var out []string
	for _, a := range attempts {
		if a.Grant != "" && !slices.Contains(out, a.Grant) {
			out = append(out, a.Grant)
		}
	}
	slices.Sort(out)
	return out
}

// list names attempts for people: "overwrite and delete under packs/ and meta/, lifecycle of the bucket".
func list(attempts []Attempt) string {
	var probes []string
	in := map[string][]string{}
	for _, a := range attempts {
		if !slices.Contains(probes, a.Probe) {
			probes = append(probes, a.Probe)
		}
		if !slices.Contains(in[a.Probe], a.Room) {
			in[a.Probe] = append(in[a.Probe], a.Room)
		}
	}
	var groups []string
	for i := 0; i < len(probes); {
		where, names := in[probes[i]], []string{}
		for ; i < len(probes) && slices.Equal(in[probes[i]], where); i++ {
			names = append(names, probes[i])
		}
		groups = append(groups, strings.Join(names, ", ")+" "+rooms(where))
	}
	return strings.Join(groups, "; ")
}

// rooms names rooms for people; the empty one is the bucket as a whole.
func rooms(names []string) string {
	out := make([]string, len(names))
	for i, n := range names {
		if out[i] = n + "/"; n == "" {
			out[i] = "the bucket"
		}
	}
	return "in " + strings.Join(out, ", ")
}
