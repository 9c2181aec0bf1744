package agent_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"
	"golang.org/x/sync/errgroup"

	"farshore/agent/record"
	"farshore/agent/vault"
	"farshore/crypto/sign"
	"farshore/providers"
)

// each runs f for every one of n in parallel, and ends at the first failure.
func each(t *testing.T, n int, f func(i int) error) {
	t.Helper()
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i := range n {
		if t.Failed() {
			break
		}
		g.Go(func() error {
			err := f(i)
			if err != nil {
				t.Error(err)
			}
			return err
		})
	}
	_ = g.Wait() // reported
}

// TestEveryByteCounts flips every byte of every object in turn. Verification without any key notices each, and names the object; a restore gives right bytes or
// none. The ordinary run takes every byte of what is signed, and a stride of the rest when time runs out.
func TestEveryByteCounts(t *testing.T) {
	d := newDamaged(t)
	if c, err := d.complaint(nil); c != "" || err != nil {
		t.Fatalf("the undamaged vault: %s, %v", c, err)
	}
	if p, err := d.restore(nil); len(p) > 0 || err != nil {
		t.Fatalf("the undamaged vault: %v, %v", p, err)
	}
	stop := time.Now().Add(12 * time.Second)
	if long() {
		stop = stop.Add(24 * time.Hour)
	}
	for _, room := range []string{"vault/", "commits/", "meta/", "packs/"} {
		var tried counter
		for _, name := range d.names(room) {
			was := d.objects[name]
			each(t, len(was), func(i int) error {
				signed := room == "vault/" || room == "commits/"
				if !signed && time.Now().After(stop) && i%17 != 0 {
					return nil
				}
				tried.next()
				return d.flip(name, i, byte(1<<(i%8)), long() || i%5 == 0)
			})
		}
		t.Logf("%s: %d bytes flipped", room, tried.next())
	}
}

// flip changes one byte and looks what becomes of it.
func (d *damaged) flip(name string, i int, bits byte, restore bool) error {
	b := bytes.Clone(d.objects[name])
	b[i] ^= bits
	changed := map[string][]byte{name: b}
	said, err := d.complaint(changed)
	if err != nil {
		return fmt.Errorf("%s, byte %d flipped: %w", name, i, err)
	}
	if !strings.Contains(said, name) {
		return fmt.Errorf("%s, byte %d flipped: verify names it not: %q", name, i, said)
	}
	if !restore {
		return nil
	}
	if _, err := d.restore(changed); err != nil {
		return fmt.Errorf("%s, byte %d flipped: %w", name, i, err)
	}
	return nil
}

// TestCutAndExtended cuts objects short, takes them away and makes them longer.
func TestCutAndExtended(t *testing.T) {
	d := newDamaged(t)
	type damage struct {
		name, how string
		body      []byte
	}
	var all []damage
	for name, b := range d.objects {
		for _, n := range []int{0, 1, len(b) / 2, len(b) - 129, len(b) - 64, len(b) - 17, len(b) - 1} {
			if n >= 0 && n < len(b) {
				all = append(all, damage{name, fmt.Sprintf("cut to %d of %d bytes", n, len(b)), b[:n:n]})
			}
		}
		all = append(all, damage{name, "gone", nil},
			damage{name, "with a byte more", append(bytes.Clone(b), 0)},
			damage{name, "with a line feed more", append(bytes.Clone(b), '\n')},
			damage{name, "twice", append(bytes.Clone(b), b...)})
	}
	last := record.CommitName(d.chain, int64(len(d.points)))
	each(t, len(all), func(i int) error {
		k := all[i]
		changed := map[string][]byte{k.name: k.body}
		said, err := d.complaint(changed)
		if err != nil {
			return fmt.Errorf("%s %s: %w", k.name, k.how, err)
		}
		// The newest commit's absence is a vault of a moment before: only who saw it can know. Without a first statement there is no vault.
		hidden := k.body == nil && (k.name == last || strings.HasPrefix(k.name, "vault/"))
		if !hidden && !strings.Contains(said, k.name) && !(k.body == nil && strings.Contains(said, "the commit before it is missing")) {
			return fmt.Errorf("%s %s: verify does not say so: %q", k.name, k.how, said)
		}
		problems, err := d.restore(changed)
		if err != nil {
			return fmt.Errorf("%s %s: %w", k.name, k.how, err)
		}
		if strings.HasPrefix(k.name, "packs/") && len(problems) == 0 && !strings.HasSuffix(k.how, "more") && k.how != "twice" {
			return fmt.Errorf("%s %s: everything was restored all the same", k.name, k.how)
		}
		return nil
	})
}

// TestSwapped exchanges the bytes of each two objects of a kind.
func TestSwapped(t *testing.T) {
	d := newDamaged(t)
	for _, room := range []string{"commits/", "meta/", "packs/"} {
		names := d.names(room)
		for i, a := range names {
			for _, b := range names[i+1:] {
				changed := map[string][]byte{a: d.objects[b], b: d.objects[a]}
				said, err := d.complaint(changed)
				if err != nil || !strings.Contains(said, a) || !strings.Contains(said, b) && room != "commits/" {
					t.Errorf("%s and %s exchanged: %q, %v", a, b, said, err)
				}
				if _, err := d.restore(changed); err != nil {
					t.Errorf("%s and %s exchanged: %v", a, b, err)
				}
			}
		}
	}
}

// TestForeignObjects puts objects into the vault that do not belong there. Each is named, or ignored where that is said, and no restore is wrong.
func TestForeignObjects(t *testing.T) {
	d := newDamaged(t)
	other := newDamaged(t)
	commit := func(n int64) string { return record.CommitName(d.chain, n) }
	next := commit(int64(len(d.points)) + 1)
	statement := d.names("vault/")[0]
	mallory, err := sign.Generate()
	must(t, err)
	strangers := d.statement(t, mallory, func(*record.Statement) {})
	third := d.statement(t, d.rig.owner, func(s *record.Statement) { s.N, s.Note = 3, "after a gap" })
	pack, page := d.names("packs/")[0], d.names("meta/")[0]
	otherChain := record.CommitName(other.chain, 1)
	unknown := strings.Repeat("0", 64)
	inMeta := "meta/" + strings.TrimPrefix(pack, "packs/")
	for _, c := range []struct {
		what    string
		changed map[string][]byte
		want    []string // in what verify says; none: it says nothing
		broken  bool     // some restore may fail
	}{
		{"an old commit under a new number", map[string][]byte{next: d.objects[commit(2)]}, []string{"tampering: " + next + ": it says that it is " + commit(2)}, false},
		{"an old commit in place of a later one", map[string][]byte{commit(3): d.objects[commit(2)]}, []string{"tampering: " + commit(3) + ": it says that it is " + commit(2)}, true},
		{"a commit of another vault", map[string][]byte{next: other.objects[otherChain]}, []string{"tampering: " + next, "does not count"}, false},
		{"a chain of another vault", map[string][]byte{otherChain: other.objects[otherChain]}, []string{"tampering: " + otherChain + ": the owner never named its signer"}, false},
		{"a commit with a number after a gap", map[string][]byte{commit(9): d.objects[commit(2)]}, []string{commit(9), "does not count"}, false},
		{"junk for a commit", map[string][]byte{next: []byte("junk")}, []string{"tampering: " + next}, false},
		{"the first commit in a chain of its own", map[string][]byte{record.CommitName(strings.Repeat("ab", 16), 1): d.objects[commit(1)]}, []string{"tampering: commits/" + strings.Repeat("ab", 16), "it says that it is " + commit(1)}, false},
		{"a first statement by a stranger", map[string][]byte{strangers.first: strangers.firstBytes}, []string{"tampering: " + strangers.first + ": ignored: it is signed by " + mallory.Public().String()}, false},
		{"a second statement by a stranger", map[string][]byte{strangers.name: strangers.bytes}, []string{"tampering: " + strangers.name + ": ignored: the owner did not sign it"}, false},
		{"a third statement without a second", map[string][]byte{third.name: third.bytes}, []string{"damage: " + third.name + ": the owner signed it, but statement 2, which it follows, is missing"}, false},
		{"a statement under another's hash", map[string][]byte{"vault/00000002-" + unknown: d.objects[statement]}, []string{"tampering: vault/00000002-" + unknown}, false},
		{"junk names", map[string][]byte{"vault/README": {1}, "packs/x": {1}, "packs/00/" + unknown[:63]: {1}, "meta/11/" + unknown: {1}, "commits/x/1": {1}, commit(1) + "0": {1}}, []string{"vault/README", "packs/x", "packs/00/", "meta/11/" + unknown, "commits/: 2 objects"}, false},
		{"a name with capitals", map[string][]byte{strings.ToUpper(pack[:9]) + pack[9:]: d.objects[pack], "packs/" + strings.ToUpper(pack[6:]): d.objects[pack]}, nil, false},
		{"canaries", map[string][]byte{"vault/canary/a": {1}, "packs/canary/a-1": {1}, "meta/canary/a": {1}, "commits/canary/a": {1}, "reports/canary/a": {1}}, nil, false},
		{"no canary after all", map[string][]byte{"packs/canary/A": {1}, "meta/canary/a/b": {1}}, []string{"packs/canary/A", "meta/canary/a/b"}, false},
		{"a pack among the pages too", map[string][]byte{inMeta: d.objects[pack]}, nil, false},
		{"a pack among the pages only", map[string][]byte{inMeta: d.objects[pack], pack: nil}, []string{"damage: " + pack + ": it is missing"}, true},
		{"an unknown pack that is what it says", map[string][]byte{other.names("packs/")[0]: other.objects[other.names("packs/")[0]]}, nil, false},
		{"a page that is empty", map[string][]byte{page: {}}, []string{"damage: " + page}, true},
	} {
		t.Run(c.what, func(t *testing.T) {
			said, err := d.complaint(c.changed)
			if err != nil {
				t.Fatal(err)
			}
			if len(c.want) == 0 && said != "" && c.what != "a name with capitals" {
				t.Errorf("verify said %q", said)
			}
			for _, w := range c.want {
				if !strings.Contains(said, w) {
					t.Errorf("verify said %q, want %q", said, w)
				}
			}
			problems, err := d.restore(c.changed)
			if err != nil {
				t.Error(err)
			}
			for _, p := range problems {
				if !c.broken && errors.As(p, new(*vault.DamageError)) {
					t.Errorf("a restore failed: %v", p)
				}
			}
		})
	}
}

// forged is a first and a second statement by one key.
type forged struct {
	first, name       string
	firstBytes, bytes []byte
}

// statement signs a changed copy of the vault's statement, as the first of a vault and as the second of this.
func (d *damaged) statement(t *testing.T, k sign.PrivateKey, change func(*record.Statement)) forged {
	t.Helper()
	v, err := d.open(nil, false)
	must(t, err)
	st := *v.Statement()
	st.Owner = k.Public().String()
	var f forged
	f.first, f.firstBytes = envelope(t, &st, sign.NoVault, k)
	prev := mustHash(v.ID())
	st.N, st.Prev = 2, &prev
	change(&st)
	f.name, f.bytes = envelope(t, &st, v.ID(), k)
	return f
}

// envelope signs a statement and returns its name and its bytes.
func envelope(t testing.TB, st *record.Statement, id string, k sign.PrivateKey) (string, []byte) {
	t.Helper()
	text, err := record.EncodeStatement(st)
	must(t, err)
	b, err := sign.Envelope(sign.KindStatement, id, text, k)
	must(t, err)
	return record.StatementName(st.N, sha256.Sum256(b)), b
}

// TestDamageInTransit has a store that gives wrong bytes once: a restore is right or fails.
func TestDamageInTransit(t *testing.T) {
	d := newDamaged(t)
	var wg sync.WaitGroup
	for n := range 60 {
		wg.Go(func() {
			f := &liar{still: newStill(d.objects, nil), at: int64(n)}
			pub := d.rig.owner.Public()
			v, err := vault.Open(context.Background(), providers.New(f, providers.Options{Attempts: 1}), vault.Options{Owner: &pub, Identities: []age.Identity{d.rig.recovery}})
			if err != nil {
				return
			}
			chain, err := v.Chain(context.Background(), d.chain)
			if err != nil {
				return
			}
			for _, k := range chain.Commits {
				if _, err := d.compare(context.Background(), v, k, d.points[k.Hash]); err != nil {
					t.Errorf("read %d lied: %v", n, err)
				}
			}
		})
	}
	wg.Wait()
}

// liar gives wrong bytes at one of its reads.
type liar struct {
	*still
	reads counter
	at    int64
}

func (l *liar) Open(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	r, err := l.still.Open(ctx, name, off, n)
	if err != nil || l.reads.next() != l.at {
		return r, err
	}
	b, err := io.ReadAll(r)
	if len(b) > 0 {
		b = bytes.Clone(b)
		b[len(b)/2] ^= 4
	}
	return io.NopCloser(bytes.NewReader(b)), err
}
