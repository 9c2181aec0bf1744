package agent_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"farshore/agent"
	"farshore/agent/record"
	"farshore/agent/source"
)

// pairs is a source in memory whose paths have two items each, and whose listing is no proof that an item is gone.
type pairs struct {
	tags map[string]string // what each path's two items contain
	// fail is what the capture of an item, "path kind", fails with; stop the item before which the listing fails.
	fail map[string]error
	stop string
	// gap is what the listing fails with after its last item.
	gap error
}

func (p *pairs) Place() record.Place {
	return record.Place{Name: "pairs", Kind: "git", Place: "mem://pairs"}
}
func (p *pairs) Check(context.Context) error { return nil }

var pairKinds = []string{record.KindGit, record.KindSidecar}

func (p *pairs) List(ctx context.Context, r source.Range, yield func(source.Entry) error) error {
	var paths []string
	for path := range p.tags {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	for _, path := range paths {
		for _, kind := range pairKinds {
			if path+" "+kind == p.stop {
				return errors.New("the listing broke off")
			}
			if !r.Contains(path) {
				continue
			}
			if err := yield(source.Entry{Path: path, Kind: kind, Size: -1, Attrs: record.Attrs{"tag": p.tags[path]}}); err != nil {
				return err
			}
		}
	}
	if p.gap != nil {
		return &source.Gap{Err: p.gap}
	}
	return ctx.Err()
}

func (p *pairs) Unchanged(e source.Entry, last *record.Record) bool {
	return last.State == record.Present && last.Attrs["tag"] == e.Attrs["tag"]
}

func (p *pairs) Capture(ctx context.Context, e source.Entry, _ *record.Record, sink source.Sink) (*record.Record, error) {
	if err := p.fail[e.Path+" "+e.Kind]; err != nil {
		return nil, err
	}
	part, err := sink.Lines(ctx, record.Part{Kind: record.PartRefs}, []byte(e.Path+" "+e.Kind+" "+e.Attrs["tag"]+"\n"))
	if err != nil {
		return nil, err
	}
	attrs := record.Attrs{"tag": e.Attrs["tag"]}
	if e.Attrs["tag"] == "huge" {
		attrs["list"] = strings.Repeat("x", record.MaxRecord)
	}
	if e.Kind == record.KindSidecar && e.Attrs["tag"] == "partial" {
		attrs[record.AttrOmitted] = "one file: too odd"
	}
	return &record.Record{State: record.Present, Attrs: attrs, Parts: []record.Part{part}}, nil
}

// Vanished implements source.Lasting.
func (p *pairs) Vanished(last *record.Record) *source.Unreadable {
	if last.Kind == record.KindSidecar {
		return nil
	}
	return &source.Unreadable{Reason: record.ReasonVanished, Detail: "it is not listed"}
}

// show is what the newest snapshot says: "path kind state tag", one each.
func (r *rig) show() []string {
	r.t.Helper()
	v := r.open()
	snap, err := v.Snapshot(r.t.Context(), r.chain(v).Newest())
	must(r.t, err)
	var out []string
	for rec, err := range snap.Records(r.t.Context(), "", "") {
		must(r.t, err)
		good, state := rec, rec.State
		if rec.Last != nil {
			good, state = rec.Last, rec.Reason
		}
		for i := range good.Parts {
			b, err := v.Lines(r.t.Context(), &good.Parts[i])
			must(r.t, err)
			want := rec.Path + " " + rec.Kind + " " + good.Attrs["tag"] + "\n"
			if string(b) != want {
				r.t.Errorf("%q contains %q", want, b)
			}
		}
		out = append(out, fmt.Sprintf("%s %s %s %s", rec.Path, rec.Kind, state, good.Attrs["tag"]))
	}
	return out
}

func (p *pairs) want() []string {
	var out []string
	for path, tag := range p.tags {
		for _, kind := range pairKinds {
			out = append(out, fmt.Sprintf("%s %s present %s", path, kind, tag))
		}
	}
	slices.Sort(out)
	return out
}

func (r *rig) shows(what string, want []string) {
	r.t.Helper()
	got := r.show()
	slices.Sort(got)
	if !slices.Equal(got, want) {
		r.t.Errorf("%s: the snapshot has\n%s\nin place of\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestPathsAreWhole holds that a snapshot has all items of a path as of one pass, wherever a listing or a capture fails.
func TestPathsAreWhole(t *testing.T) {
	away := errors.New("the source is away")
	// A listing that breaks off may have had more of its last path.
	for name, disturb := range map[string]func(*pairs){
		"listing breaks off before a pair": func(p *pairs) { p.stop = "b git" },
		"listing breaks off in a pair":     func(p *pairs) { p.stop = "b sidecar" },
		"second capture fails":             func(p *pairs) { p.fail = map[string]error{"b sidecar": away} },
		"first capture fails":              func(p *pairs) { p.fail = map[string]error{"b git": away} },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			p := &pairs{tags: map[string]string{"a": "1", "b": "1", "c": "1"}}
			r.mustReplicate(p, agent.Options{})
			r.shows("at first", p.want())
			p.tags = map[string]string{"a": "2", "b": "2", "c": "2"}
			disturb(p)
			if _, err := r.replicate(t.Context(), p, agent.Options{}); err == nil {
				t.Fatal("the pass did not fail")
			}
			whole := &pairs{tags: map[string]string{"a": "2", "b": "1", "c": "1"}}
			if p.stop == "b git" {
				whole.tags["a"] = "1"
			}
			r.shows("after the failure", whole.want())
			p.stop, p.fail = "", nil
			r.mustReplicate(p, agent.Options{})
			r.shows("at last", p.want())
		})
	}
}

// TestManyPairs makes snapshots of many paths, so that ranges and segments are cut, and changes some.
func TestManyPairs(t *testing.T) {
	r := newRig(t)
	p := &pairs{tags: map[string]string{}}
	for i := range 3000 {
		p.tags[fmt.Sprintf("group/%05d.git", i)] = "1"
	}
	for round := range 6 {
		for i := range 300 {
			p.tags[fmt.Sprintf("group/%05d.git", (i*37+round*11)%3000)] = fmt.Sprint(round)
		}
		r.mustReplicate(p, agent.Options{})
		r.shows(fmt.Sprint("round ", round), p.want())
	}
}

// TestVanished holds that what a listing no longer has is recorded as such with its last good record, and comes back.
func TestVanished(t *testing.T) {
	r := newRig(t)
	p := &pairs{tags: map[string]string{"a": "1", "b": "1", "c": "1"}}
	r.mustReplicate(p, agent.Options{})
	delete(p.tags, "b")
	want := []string{"a git present 1", "a sidecar present 1", "b git vanished 1", "b sidecar present 1", "c git present 1", "c sidecar present 1"}
	for range 2 {
		sum := r.mustReplicate(p, agent.Options{})
		if !sum.Complete || sum.Deleted != 0 || sum.Unreadable[record.ReasonVanished] != 1 {
			t.Errorf("summary %+v", sum)
		}
		r.shows("without it", want)
	}
	p.tags["b"] = "2"
	if sum := r.mustReplicate(p, agent.Options{}); len(sum.Unreadable) != 0 {
		t.Errorf("summary %+v", sum)
	}
	r.shows("with it again", p.want())
}

// TestPartial holds that an item that was captured but for some of it is counted, also in passes that find it unchanged.
func TestPartial(t *testing.T) {
	r := newRig(t)
	p := &pairs{tags: map[string]string{"a": "1", "b": "partial"}}
	for range 2 {
		sum := r.mustReplicate(p, agent.Options{})
		if sum.Unreadable[record.ReasonPartial] != 1 || len(sum.Examples) != 1 || !strings.Contains(sum.Examples[0].Detail, "too odd") {
			t.Errorf("summary %+v", sum)
		}
	}
}

// TestGap holds that all paths are captured of a listing that says that it is whole but for what it could not look at.
func TestGap(t *testing.T) {
	r := newRig(t)
	p := &pairs{tags: map[string]string{"a": "1", "b": "1"}, gap: errors.New("a folder can't be read")}
	if sum, err := r.replicate(t.Context(), p, agent.Options{}); err == nil || sum.Complete {
		t.Errorf("the gap is not told: %v", err)
	}
	r.shows("with a gap", p.want())
}

// TestHugeRecord holds that an item whose record no reader would take is recorded as such, and spoils no other's.
func TestHugeRecord(t *testing.T) {
	r := newRig(t)
	p := &pairs{tags: map[string]string{"a": "1", "b": "1", "c": "1"}}
	r.mustReplicate(p, agent.Options{})
	p.tags["b"], p.tags["c"] = "huge", "2"
	if sum := r.mustReplicate(p, agent.Options{}); sum.Unreadable[record.ReasonTooLarge] != 2 {
		t.Errorf("summary %+v", sum)
	}
	r.shows("with a huge one", []string{"a git present 1", "a sidecar present 1", "b git too-large 1", "b sidecar too-large 1", "c git present 2", "c sidecar present 2"})
	p.tags["b"] = "3"
	r.mustReplicate(p, agent.Options{})
	r.shows("when it is small again", p.want())
}

// TestExcludedUnreadable holds that what is excluded by now is no longer counted as unreadable, though its record stays.
func TestExcludedUnreadable(t *testing.T) {
	r := newRig(t)
	bad := &source.Unreadable{Reason: record.ReasonBroken, Detail: "bits fell out"}
	p := &pairs{tags: map[string]string{"a": "1", "b": "1"}, fail: map[string]error{"b git": bad}}
	if sum := r.mustReplicate(p, agent.Options{}); sum.Unreadable[record.ReasonBroken] != 1 {
		t.Errorf("summary %+v", sum)
	}
	sum := r.mustReplicate(p, agent.Options{Match: func(path string) bool { return path != "b" }})
	if len(sum.Unreadable) != 0 || len(sum.Examples) != 0 {
		t.Errorf("summary %+v", sum)
	}
	v := r.open()
	snap, err := v.Snapshot(t.Context(), r.chain(v).Newest())
	must(t, err)
	rec, err := snap.Find(t.Context(), "b")
	if err != nil || rec == nil || rec.Reason != record.ReasonBroken {
		t.Errorf("its record: %+v, %v", rec, err)
	}
}
