package vault_test

import (
	"context"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"farshore/agent/record"
	"farshore/agent/vault"
	"farshore/providers"
	"farshore/providers/faults"
)

// TestVerifyLocks holds what a verification says of the locks of what the newest snapshots need.
func TestVerifyLocks(t *testing.T) {
	newest := func(r *rig) string {
		var name string
		var at time.Time
		for _, n := range r.names() {
			if v := r.history(n); strings.HasPrefix(n, "packs/") && v.Modified.After(at) {
				name, at = n, v.Modified
			}
		}
		return name
	}
	soon := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	for _, c := range []struct {
		name                                     string
		do                                       func(r *rig)
		needed, asked, locked, unlocked, unknown int64
		first                                    time.Time
		why                                      string
	}{
		{name: "all locked", needed: 3, asked: 3, locked: 3},
		{name: "one ends soon", needed: 3, asked: 3, locked: 3, first: soon, do: func(r *rig) {
			r.store.SetLock(newest(r), "", providers.Lock{Mode: providers.Compliance, Until: soon})
		}},
		{name: "one has ended", needed: 3, asked: 3, locked: 2, unlocked: 1, do: func(r *rig) {
			r.store.SetLock(newest(r), "", providers.Lock{Mode: providers.Compliance, Until: time.Now().Add(-time.Hour)})
		}},
		{name: "one may be lifted", needed: 3, asked: 3, locked: 2, unlocked: 1, do: func(r *rig) {
			r.store.SetLock(newest(r), "", providers.Lock{Mode: providers.Governance, Until: soon, Hold: true})
		}},
		{name: "the lock is that of the version beneath", needed: 3, asked: 3, locked: 3, do: func(r *rig) {
			name := newest(r)
			r.store.Set(name, []byte("junk"))
			r.store.SetLock(name, "", providers.Lock{})
		}},
		{name: "it may not be asked", needed: 3, asked: 3, unknown: 3, why: "access denied", do: func(r *rig) {
			r.script.Add(faults.Fault{Op: "lock", Times: -1, Err: &providers.Error{Kind: providers.Denied}})
		}},
		{name: "settings fail", why: "temporary failure", do: func(r *rig) {
			r.script.Add(faults.Fault{Op: "settings", Times: -1})
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			r.store.Configure(providers.Settings{Versioning: "on", Lock: true, Mode: providers.Compliance, Retention: 30 * 24 * time.Hour})
			r.fill(3)
			if c.do != nil {
				c.do(r)
			}
			res, err := verifyFull(r)
			must(t, err)
			l := res.Locks
			if l == nil || l.Needed != c.needed || l.Asked != c.asked || l.Locked != c.locked || l.Unlocked != c.unlocked || l.Unknown != c.unknown || !strings.Contains(l.Why, c.why) || (c.why == "") != (l.Why == "") {
				t.Fatalf("%+v", l)
			}
			if !c.first.IsZero() && (l.First == nil || !l.First.Until.Equal(c.first) || l.First.Object != newest(r)) {
				t.Errorf("first to end: %+v", l.First)
			}
			if c.why == "" && l.Settings.Retention != 30*24*time.Hour {
				t.Errorf("%+v", l.Settings)
			}
		})
	}
	r := newRig(t).fill(1)
	r.driver = plain{r.script}
	if res := r.verified(); res.Locks != nil || res.Versions != providers.SightNone {
		t.Errorf("a store that can't be asked: %+v", res)
	}
}

// hooked tells of each plain read before it is made.
type hooked struct {
	*faults.Faults
	open func(name string)
}

// Open tells, and reads.
func (h *hooked) Open(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	h.open(name)
	return h.Faults.Open(ctx, name, off, n)
}

// TestVerifyWhileTampering overwrites and hides each object between its listing and its reading: it is intact beneath, and told of.
func TestVerifyWhileTampering(t *testing.T) {
	for _, hide := range []bool{false, true} {
		r := newRig(t).fill(2)
		done := map[string]bool{}
		v := r.open()
		var mu sync.Mutex
		tampered := func(name string) {
			mu.Lock()
			defer mu.Unlock()
			if done[name] {
				return
			}
			done[name] = true
			if hide {
				r.store.Hide(name)
			} else {
				r.store.Set(name, []byte("junk"))
			}
		}
		r.driver = &hooked{Faults: r.script, open: tampered}
		pub := v.Owner()
		v, err := vault.Open(t.Context(), r.bucket(), vault.Options{Owner: &pub})
		must(t, err)
		res, err := verifyFullOf(v, 1)
		must(t, err)
		if res.Damaged > 0 || res.Snapshots != int64(len(r.want)) || len(done) < 8 {
			t.Errorf("%d damaged, %d snapshots whole, %d objects tampered with: %v", res.Damaged, res.Snapshots, len(done), res.Findings)
		}
		for name := range done {
			if about(res.Findings, vault.Tampering, name) == "" {
				t.Errorf("nothing is said of %s", name)
			}
		}
	}
}

// TestLargeJunk holds that objects which are too large for a vault are told of and not read, wherever they lie.
func TestLargeJunk(t *testing.T) {
	r := newRig(t).fill(1)
	junk := make([]byte, providers.MaxObject+1)
	chain := strings.Repeat("ab", 16)
	names := []string{record.PackName(record.Hash{1}), record.CommitName(chain, 1), record.StatementName(2, record.Hash{1})}
	for _, name := range names {
		r.store.Set(name, junk)
	}
	before := r.count("open", "packs/")
	res, err := verifyFull(r)
	must(t, err)
	if r.count("open "+names[0], "") > 0 || r.count("open", "packs/") == before {
		t.Error("the large pack was read, or nothing was")
	}
	for _, name := range names {
		said := about(res.Findings, vault.Tampering, name) + about(res.Findings, vault.Damage, name)
		if !strings.Contains(said, "67108865 bytes") {
			t.Errorf("%s: %q", name, said)
		}
	}
	if res.Snapshots != int64(len(r.want)) {
		t.Errorf("%d snapshots are whole", res.Snapshots)
	}
}
