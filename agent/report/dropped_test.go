package report

import (
	"reflect"
	"testing"
)

// TestDropped holds that a draw of which its signer tells nothing is told of with his next audit, and with no other.
func TestDropped(t *testing.T) {
	d := newDesk(t)
	first := d.commit(d.agent)
	d.leave(d.audit(nil, &first), d.agent)
	d.commit(d.agent)          // 3: he did not like it
	d.commit(d.agent)          // 4: nor that
	other := d.commit(d.agent) // 5: of a run beside, which comes later
	second := d.commit(d.agent)
	d.commit(d.auditor)
	a := d.leave(d.audit(nil, &second), d.agent)
	b := d.leave(d.audit(nil, &other), d.agent)
	third := d.commit(d.agent)
	c := d.leave(d.audit(nil, &third), d.agent)
	s := d.read()
	for name, want := range map[string][]string{a: {Name(d.agent.ID(), 3), Name(d.agent.ID(), 4)}, b: nil, c: nil, Name(d.agent.ID(), 2): nil} {
		e, err := Find(s, name)
		must(t, e, err)
		if got := names(Dropped(s.Entries, e)); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %q in place of %q", name, got, want)
		}
	}
}
