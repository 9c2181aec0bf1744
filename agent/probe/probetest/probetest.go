// Package probetest drives an Attacker over the rooms of a vault, without judging what comes back, and holds it to its law: nothing but canaries changes. It is
// for tests; the product never imports it.
package probetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"farshore/agent/probe"
	"farshore/agent/record"
)

// Rooms returns the rooms of a vault.
func Rooms() []string { return []string{"vault", "packs", "meta", "commits", "reports"} }

// Vault returns objects as a vault holds them, by name: some in each room, and names that resemble canaries and are none.
func Vault() map[string][]byte {
	objects := map[string][]byte{}
	for _, room := range Rooms() {
		for _, name := range []string{"/ab/" + strings.Repeat("ab", 32), "/cd/" + strings.Repeat("cd", 32), "/canary.0", "/canaries/0"} {
			objects[room+name] = bytes.Repeat([]byte(room+name), 40)
		}
	}
	return objects
}

// Drive has the attacker try all that it knows: in each room a create and then the probes of objects, each on a canary of its own where it asks for one, and at the
// end the probes of the bucket. A name that could not be created is tried as one that nothing has.
func Drive(ctx context.Context, tb testing.TB, a probe.Attacker, rooms ...string) []probe.Attempt {
	tb.Helper()
	d := drive{tb: tb, a: a}
	for _, room := range rooms {
		shared := d.create(ctx, room)
		for _, p := range a.Object() {
			c := shared
			if p.Fresh {
				c = d.create(ctx, room)
			}
			d.add(room, p.Kind, c.Name, p.Try(ctx, c))
		}
	}
	for _, p := range a.Bucket() {
		d.add("", p.Kind, "", p.Try(ctx))
	}
	return d.attempts
}

// drive is one run.
type drive struct {
	tb       testing.TB
	a        probe.Attacker
	attempts []probe.Attempt
}

// create makes a canary. The attempt is noted under the name "create".
func (d *drive) create(ctx context.Context, room string) probe.Canary {
	name := room + "/canary/" + strings.ToLower(rand.Text())
	version, r := d.a.Create(ctx, name, []byte("canary "+rand.Text()))
	d.add(room, probe.Kind{Probe: "create"}, name, r)
	return probe.Canary{Name: name, Version: version, Exists: r.Answer == probe.Permitted}
}

// add notes an attempt. Each needs what a reader of a report wants to know.
func (d *drive) add(room string, k probe.Kind, object string, r probe.Result) {
	d.tb.Helper()
	if object != "" && !record.IsCanary(object) {
		d.tb.Errorf("%s was tried on %s", k.Probe, object)
	}
	switch r.Answer {
	case probe.Denied, probe.Permitted, probe.Unknown:
	default:
		d.tb.Errorf("%s: answer %q", k.Probe, r.Answer)
	}
	if r.Code == "" || r.Text == "" {
		d.tb.Errorf("%s: code %q, text %q", k.Probe, r.Code, r.Text)
	}
	// What a writer needs and can be used to hide is no grant to take away.
	if k.Probe != "create" && (k.Property == "" || k.Harm == "" || k.Grant == "" && k.Harm != probe.Hides) {
		d.tb.Errorf("%s: property %q, harm %q, grant %q", k.Probe, k.Property, k.Harm, k.Grant)
	}
	d.attempts = append(d.attempts, probe.Attempt{Room: room, Probe: k.Probe, Property: k.Property, Harm: k.Harm, Grant: k.Grant, Object: object,
		Answer: r.Answer, Code: r.Code, Text: r.Text})
}

// Answers holds that all attempts at each of the probes had the answer that is wanted of it, and that nothing else was tried.
func Answers(tb testing.TB, attempts []probe.Attempt, want map[string]probe.Answer) {
	tb.Helper()
	seen := map[string]bool{}
	for _, a := range attempts {
		seen[a.Probe] = true
		if w, known := want[a.Probe]; !known || a.Answer != w {
			tb.Errorf("%s on %q: %s (%s: %s), want %q", a.Probe, a.Object, a.Answer, a.Code, a.Text, w)
		}
	}
	for name := range want {
		if !seen[name] {
			tb.Errorf("%s was not tried", name)
		}
	}
}

// Grants returns the grants of the attempts that were permitted, sorted, each once.
func Grants(attempts []probe.Attempt) []string {
	grants := map[string]bool{}
	for _, a := range attempts {
		if a.Answer == probe.Permitted && a.Grant != "" {
			grants[a.Grant] = true
		}
	}
	return slices.Sorted(maps.Keys(grants))
}

// Same holds that what is stored is what was: the same names with the same bytes, but for canaries. Names are as the vault knows them.
func Same(tb testing.TB, before, after map[string][]byte) {
	tb.Helper()
	for name, body := range before {
		if got, there := after[name]; !record.IsCanary(name) && (!there || !bytes.Equal(got, body)) {
			tb.Errorf("%s was changed: %s", name, describe(got, there))
		}
	}
	for name := range after {
		if _, there := before[name]; !there && !record.IsCanary(name) {
			tb.Errorf("%s was made", name)
		}
	}
}

func describe(b []byte, there bool) string {
	if !there {
		return "it is gone"
	}
	return fmt.Sprintf("it has %d bytes", len(b))
}

// Refuses holds that the attacker refuses each name that is no canary's: in its create, and in every probe of an object.
func Refuses(ctx context.Context, tb testing.TB, a probe.Attacker) {
	tb.Helper()
	for _, name := range []string{"", "packs/ab/" + strings.Repeat("ab", 32), "packs/canary", "packs/canary/", "packs/canary/../ab", "packs/canary/a/b", "x/canary/a", "/packs/canary/a",
		"packs/canary/A", "packs/canary/a?generation=1", "packs/canary/" + strings.Repeat("a", 65)} {
		if _, r := a.Create(ctx, name, []byte("x")); r.Answer != probe.Unknown {
			tb.Errorf("create %q: %s", name, r.Answer)
		}
		for _, p := range a.Object() {
			for _, exists := range []bool{true, false} {
				if r := p.Try(ctx, probe.Canary{Name: name, Version: "1", Exists: exists}); r.Answer != probe.Unknown || !strings.Contains(r.Text, "canary") {
					tb.Errorf("%s on %q: %s: %s", p.Probe, name, r.Answer, r.Text)
				}
			}
		}
	}
}
