package probe

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"

	"farshore/providers"
)

// canary is a name below <room>/canary/, and what was written there.
type canary struct {
	Canary
	body []byte
}

// newName returns a name of the room that nothing has: 96 random bits behind the day, by which a steward can tell old ones.
func (p *run) newName(room string) string {
	b := make([]byte, 12)
	_, _ = rand.Read(b) // it never fails: it ends the program instead
	return room + "/canary/" + p.r.Time.Format("20060102") + "-" + hex.EncodeToString(b)
}

func newBody() []byte {
	b := make([]byte, 32)
	_, _ = rand.Read(b)
	return []byte("canary of farshore's append-only probe, of no other use: " + hex.EncodeToString(b) + "\n")
}

// create makes a canary. It exists where the answer is Permitted.
func (p *run) create(ctx context.Context, room string) (canary, Result) {
	c := canary{Canary: Canary{Name: p.newName(room)}, body: newBody()}
	r := p.ask(ctx, func(ctx context.Context) (r Result) {
		c.Version, r = p.a.Create(ctx, c.Name, c.body)
		return r
	})
	if c.Exists = r.Answer == Permitted; c.Exists {
		p.r.Canaries = append(p.r.Canaries, c.Name)
	}
	return c, r
}

// control is whether the credential demonstrably works, and so a denial says something.
type control struct {
	ok  bool
	why string
}

// room runs everything in one room: a positive control, the probes, and a positive control again.
func (p *run) room(ctx context.Context, room string) {
	first := len(p.r.Attempts)
	c, before := p.control(ctx, room)
	if c.Exists {
		if p.reference == "" {
			p.reference = room
		}
		p.lock(ctx, room, c)
	} else {
		p.bare = append(p.bare, room)
	}
	p.probes(ctx, room, c)
	_, after := p.control(ctx, room)
	switch {
	case !before.ok:
		p.worthless(first, before.why)
	case !after.ok:
		p.worthless(first, after.why)
	}
}

// control creates a canary and looks for it. Where the role is not to create, as a writer in vault/, a denial is right; then a creation elsewhere and a
// listing here have to work.
func (p *run) control(ctx context.Context, room string) (canary, control) {
	c, r := p.create(ctx, room)
	at := Attempt{Room: room, Probe: "create", Property: Control, Object: c.Name}
	may := p.o.mayCreate(room)
	if !may {
		at.Harm, at.Grant = Excess, "create under "+room+"/"
	}
	if r.Answer == Permitted {
		r = p.see(ctx, c, r)
	}
	p.record(at, r)
	switch {
	case r.Answer == Permitted:
		return c, control{ok: true}
	case r.Answer == Denied && may:
		return c, control{why: fmt.Sprintf("the credential may not create under %s/, which the role %s must: %s", room, p.o.Role, r.Code)}
	case r.Answer == Denied:
		return c, p.otherControl(ctx, room)
	}
	return c, control{why: "the credential did not work: " + join(r.Code, r.Text)}
}

// see looks for the canary that was created. A store that took it and does not have it is none of which an answer says anything; a credential that may not
// look is not worse for it.
func (p *run) see(ctx context.Context, c canary, r Result) Result {
	ctx, cancel := context.WithTimeout(ctx, p.o.Request)
	defer cancel()
	_, err := p.store.Stat(ctx, c.Name)
	if err == nil {
		return r
	}
	shown, listErr := p.listed(ctx, c.Name)
	switch {
	case shown:
		return r
	case listErr == nil:
		r.Answer, r.Text = Unknown, "the store said that it had created the canary, and does not show it"
	default:
		r.Text = "created; it could not be looked at: " + err.Error()
	}
	return r
}

// listed reports whether a listing has the name.
func (p *run) listed(ctx context.Context, name string) (bool, error) {
	for info, err := range p.store.List(ctx, name, "") {
		return err == nil && info.Name == name, err
	}
	return false, nil
}

// otherControl shows in another way that the credential works where it may not create: it creates in a room where it may, and lists this one.
func (p *run) otherControl(ctx context.Context, room string) control {
	at := Attempt{Room: room, Probe: "list", Property: Control, Object: room + "/"}
	r := p.ask(ctx, func(ctx context.Context) Result { return p.list(ctx, room+"/") })
	p.record(at, r)
	if r.Answer != Permitted {
		return control{why: "it may neither create nor list here, so that a denial may mean anything: " + join(r.Code, r.Text)}
	}
	return p.referenceControl(ctx)
}

// referenceControl creates in a room where the credential could before. Where it never could, there is nothing to show.
func (p *run) referenceControl(ctx context.Context) control {
	if p.reference == "" {
		if p.o.Role == Restorer {
			return control{ok: true} // it creates nowhere: the listing has to do
		}
		return control{why: "the credential could create nowhere, so that a denial may mean anything"}
	}
	c, r := p.create(ctx, p.reference)
	p.record(Attempt{Room: p.reference, Probe: "create", Property: Control, Object: c.Name}, r)
	if r.Answer != Permitted {
		return control{why: "the credential stopped working: " + join(r.Code, r.Text)}
	}
	return control{ok: true}
}

// list asks for the first object with the prefix, which need not be there.
func (p *run) list(ctx context.Context, prefix string) Result {
	for _, err := range p.store.List(ctx, prefix, "") {
		if err != nil {
			return resultOf(err)
		}
		break
	}
	return Result{Answer: Permitted, Code: "listed"}
}

// resultOf says what an error of the store is as the answer to a request that ought to work. The Bucket has tried again already.
func resultOf(err error) Result {
	if providers.KindOf(err) == providers.Denied {
		return Result{Answer: Denied, Text: err.Error()}
	}
	return Result{Answer: Unknown, Text: err.Error()}
}

// probes tries everything on canaries of the room.
func (p *run) probes(ctx context.Context, room string, c canary) {
	touched := false
	for _, probe := range p.a.Object() {
		if probe.Fresh && touched {
			next, r := p.another(ctx, room, c)
			if r.Answer != Permitted {
				p.record(attempt(room, probe.Kind, next.Name), Result{Answer: Unknown, Code: r.Code, Text: "not tried: no canary could be made for it: " + r.Text})
				continue
			}
			c, touched = next, false
		}
		r := p.ask(ctx, func(ctx context.Context) Result { return probe.Try(ctx, c.Canary) })
		// What was denied did nothing. Whatever else came back may have.
		touched = touched || r.Answer != Denied
		i := p.record(attempt(room, probe.Kind, c.Name), r)
		if probe.Harm == Hides && r.Answer == Permitted {
			at := &p.r.Attempts[i]
			at.Fate, at.Text = p.beneath(ctx, c, at.Text)
		}
	}
}

// another returns a canary that nothing was done to, or, where the first could not be created, another name that nothing has.
func (p *run) another(ctx context.Context, room string, c canary) (canary, Result) {
	if !c.Exists {
		return canary{Canary: Canary{Name: p.newName(room)}}, Result{Answer: Permitted}
	}
	return p.create(ctx, room)
}

func attempt(room string, k Kind, object string) Attempt {
	return Attempt{Room: room, Probe: k.Probe, Property: k.Property, Harm: k.Harm, Grant: k.Grant, Object: object}
}

// bucket tries what concerns the bucket as a whole, between two positive controls of its own.
func (p *run) bucket(ctx context.Context) {
	first := len(p.r.Attempts)
	before := p.bucketControl(ctx)
	for _, probe := range p.a.Bucket() {
		p.record(attempt("", probe.Kind, ""), p.ask(ctx, probe.Try))
	}
	after := p.bucketControl(ctx)
	switch {
	case !before.ok:
		p.worthless(first, before.why)
	case !after.ok:
		p.worthless(first, after.why)
	}
}

func (p *run) bucketControl(ctx context.Context) control {
	if p.reference != "" {
		return p.referenceControl(ctx)
	}
	return p.otherControl(ctx, p.r.Rooms[0])
}

// worthless makes every denial from the attempt on Unknown: a credential that does not work is denied everything.
func (p *run) worthless(first int, why string) {
	for i := first; i < len(p.r.Attempts); i++ {
		at := &p.r.Attempts[i]
		if at.Property != Control && at.Answer == Denied {
			at.Answer = Unknown
			at.Text = join("denied, which says nothing: "+why, at.Text)
		}
	}
}

// lock notes how a new canary is kept.
func (p *run) lock(ctx context.Context, room string, c canary) {
	ctx, cancel := context.WithTimeout(ctx, p.o.Request)
	defer cancel()
	l, err := p.store.Lock(ctx, c.Name, c.Version)
	p.locks = append(p.locks, lockSeen{room: room, lock: l, err: err})
}

// join puts two texts together, either of which may be empty.
func join(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + ": " + b
}
