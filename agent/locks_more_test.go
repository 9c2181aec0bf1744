package agent_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"farshore/agent"
	"farshore/agent/record"
	"farshore/agent/source"
	"farshore/agent/vault"
	"farshore/crypto/seal"
	"farshore/providers/s3"
	"farshore/providers/s3/s3bucket"
	"farshore/providers/servers"
)

// TestItemsThatCannotBeStoredAnew holds what a pass leaves as it is to be told of with its date, and not to be tried for in vain by writing segments again and again.
func TestItemsThatCannotBeStoredAnew(t *testing.T) {
	tests := map[string]struct {
		options agent.Options
		break_  func(*lockRig)
	}{
		"excluded":   {agent.Options{Match: func(path string) bool { return path != "item/04" }}, func(*lockRig) {}},
		"unreadable": {agent.Options{}, func(l *lockRig) { l.src.onCapture = unreadableItem("item/04") }},
		"gone":       {agent.Options{}, func(l *lockRig) { l.src.onCapture = goneItem("item/04") }},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			l := newLockRig(t)
			l.fill()
			l.mustPass()
			ends := l.in(45 * day)
			l.wait(16 * day)
			tt.break_(l)
			for n := range 3 {
				sum, err := l.passWith(tt.options)
				must(t, err)
				if want := []int64{19, 0, 0}[n]; sum.Renewed != want || !sum.Complete {
					t.Errorf("pass %d: %d renewed, want %d, complete %v", n, sum.Renewed, want, sum.Complete)
				}
				text := fmt.Sprint(sum.Notices)
				if !strings.Contains(text, "1 of the snapshot's items") || !strings.Contains(text, `"item/04"`) || !strings.Contains(text, ends.UTC().Format("2006-01-02")) {
					t.Errorf("pass %d: notices %s; want one of item/04 that ends %v", n, text, ends)
				}
				if before := l.segments(); n > 0 && before != 1 {
					t.Errorf("pass %d left %d segments", n, before)
				}
			}
			first := l.written()
			_, err := l.passWith(tt.options)
			must(t, err)
			if again := l.written(); again != first {
				t.Errorf("a pass in which nothing can be stored anew wrote the segment again")
			}
			v := l.open()
			diff(t, "newest", l.contents(v, l.chain(v).Newest()), l.src.copy())
		})
	}
}

func unreadableItem(path string) func(string) error {
	return func(p string) error {
		if p == path {
			return &source.Unreadable{Reason: record.ReasonDenied, Detail: "not now"}
		}
		return nil
	}
}

func goneItem(path string) func(string) error {
	return func(p string) error {
		if p == path {
			return source.ErrGone
		}
		return nil
	}
}

// segments is how many segments the newest snapshot has, written which they are.
func (l *lockRig) segments() int { return len(l.newest().Segments()) }
func (l *lockRig) written() string {
	return fmt.Sprint(l.newest().Segments())
}

func (l *lockRig) newest() *vault.Snapshot {
	l.t.Helper()
	v := l.open()
	snap, err := v.Snapshot(context.Background(), l.chain(v).Newest())
	must(l.t, err)
	return snap
}

// TestNothingIsAskedWithoutMinLockLeft holds that a pass without the demand makes no request more than before.
func TestNothingIsAskedWithoutMinLockLeft(t *testing.T) {
	l := newLockRig(t)
	l.left = 0
	l.keeps.deny(denied)
	l.fill()
	l.mustPass()
	l.wait(100 * day)
	l.src.put("item/copy", l.src.copy()["item/03"])
	if sum := l.mustPass(); sum.StoredChunks != 0 || sum.Renewed != 0 || sum.Unchanged != 20 {
		t.Errorf("%d chunks stored, %d renewed, %d unchanged", sum.StoredChunks, sum.Renewed, sum.Unchanged)
	}
	if len(l.keeps.asked) != 0 || l.keeps.settings != 0 {
		t.Errorf("asked for locks %v, settings %d times", l.keeps.asked, l.keeps.settings)
	}
}

// declare places the owner's next statement, with other parameters.
func (l *lockRig) declare(change func(*record.Parameters)) {
	l.t.Helper()
	st := *l.open().Statement()
	prev := mustHash(l.id)
	st.N, st.Prev = 2, &prev
	change(&st.Parameters)
	name, b := envelope(l.t, &st, l.id, l.owner)
	l.store.Set(name, b)
}

// large is a vault whose snapshot has an item with extents in pages.
func large(t *testing.T) *lockRig {
	l := newLockRig(t)
	l.declare(func(p *record.Parameters) { p.ChunkMin, p.ChunkNormal, p.ChunkMax = 64, 256, 1024 })
	base := words(1, 1_600_000)
	l.src.put("before", base)
	l.mustPass()
	// Pieces of the other item in between what is new: each is an extent of its own.
	var mixed []byte
	for at := 0; at+2500 <= len(base); at += 2500 {
		mixed = append(append(mixed, base[at:at+2000]...), words(uint64(at+7), 700)...)
	}
	for at := len(base) - 2500; at >= 0; at -= 2500 {
		mixed = append(mixed, base[at:at+2500]...)
	}
	l.src.put("large", mixed)
	l.mustPass()
	rec, err := l.newest().Find(context.Background(), "large")
	must(t, err)
	if len(rec.Parts[0].Pages) == 0 {
		t.Fatalf("the item has no pages of extents, %d extents", len(rec.Parts[0].Extents))
	}
	return l
}

// TestLargeItemsThatStay holds that a large item which can't be stored anew is no reason to write its segment again and again.
func TestLargeItemsThatStay(t *testing.T) {
	l := large(t)
	l.wait(16 * day)
	match := agent.Options{Match: func(path string) bool { return path != "large" }}
	var written []string
	for range 3 {
		sum, err := l.passWith(match)
		must(t, err)
		if text := fmt.Sprint(sum.Notices); !strings.Contains(text, `"large"`) {
			t.Errorf("notices %s", text)
		}
		written = append(written, l.written())
	}
	if written[1] != written[0] || written[2] != written[0] {
		t.Errorf("passes in which nothing can be stored anew wrote the segment again: %q", written)
	}
}

// TestLargeItemsAreRenewed is an item whose extents lie in pages.
func TestLargeItemsAreRenewed(t *testing.T) {
	l := large(t)
	l.wait(10 * day)
	if sum := l.mustPass(); sum.Renewed != 0 || sum.StoredChunks != 0 {
		t.Errorf("too early: %d renewed, %d chunks", sum.Renewed, sum.StoredChunks)
	}
	l.wait(6 * day)
	if sum := l.mustPass(); sum.Renewed != 2 || sum.StoredChunks == 0 {
		t.Errorf("%d renewed, want 2, %d chunks", sum.Renewed, sum.StoredChunks)
	}
	l.check(l.in(30 * day))
}

// TestMinLockLeftAtMinIO renews against real Object Lock: the bucket's retention is lengthened between two passes, so that what the first stored is locked for less than the second asks.
func TestMinLockLeftAtMinIO(t *testing.T) {
	server := servers.MinIO(t)
	url := server.URL("offsite", "vault")
	_, err := s3bucket.Create(t.Context(), url, s3.Options{Credentials: server.Credentials()}, s3bucket.Spec{Retention: 45 * day})
	must(t, err)
	d, err := s3.Open(t.Context(), url, s3.Options{Credentials: server.Credentials()})
	must(t, err)
	r := newRigWith(t, d, seal.GenerateX25519)
	src := newFakeSource()
	for i := range 5 {
		src.put(fmt.Sprintf("item/%d", i), words(uint64(i), 20_000))
	}
	pass := func(left time.Duration) (*agent.Summary, error) {
		s := r.state()
		defer func() { must(t, s.Close()) }()
		pub := r.owner.Public()
		v, err := vault.Open(t.Context(), r.bucket, vault.Options{Owner: &pub, Identities: []age.Identity{r.metadata}, Cache: s})
		must(t, err)
		w, err := v.Begin(t.Context(), vault.BeginOptions{Source: src.Place(), Agent: r.agent, Local: s, MinLockLeft: left})
		if err != nil {
			return nil, err
		}
		defer w.Close()
		return agent.Replicate(t.Context(), w, src, agent.Options{})
	}
	if _, err := pass(45 * day); !errors.Is(err, vault.ErrLockShort) {
		t.Fatalf("as long as the retention: %v", err)
	}
	_, err = pass(30 * day)
	must(t, err)
	sum, err := pass(30 * day)
	must(t, err)
	if sum.Renewed != 0 || sum.StoredChunks != 0 {
		t.Errorf("far locks: %d renewed, %d chunks stored", sum.Renewed, sum.StoredChunks)
	}
	_, err = server.Client(t).PutObjectLockConfiguration(t.Context(), &awss3.PutObjectLockConfigurationInput{
		Bucket: aws.String("offsite"),
		ObjectLockConfiguration: &types.ObjectLockConfiguration{ObjectLockEnabled: types.ObjectLockEnabledEnabled, Rule: &types.ObjectLockRule{
			DefaultRetention: &types.DefaultRetention{Mode: types.ObjectLockRetentionModeCompliance, Days: aws.Int32(90)},
		}},
	})
	must(t, err)
	sum, err = pass(60 * day)
	must(t, err)
	if sum.Renewed != 5 || sum.StoredChunks == 0 {
		t.Errorf("near locks: %d renewed of 5, %d chunks stored", sum.Renewed, sum.StoredChunks)
	}
	v := r.open()
	c := r.chain(v).Newest()
	diff(t, "newest", r.contents(v, c), src.copy())
	locks, err := v.Locks(t.Context(), r.chain(v), c, vault.MaxLocks, time.Now())
	must(t, err)
	if n := locks.Contents; n.Locked != n.Needed || n.First.Before(time.Now().Add(89*day)) {
		t.Errorf("contents %+v", n)
	}
	if n := locks.Commits; n.Locked != 5 || n.Needed != 5 || n.First.After(time.Now().Add(46*day)) {
		t.Errorf("commits %+v; want the statement and four commits, the first of them locked for 45 days", n)
	}
}

// BenchmarkUnchangedPass makes passes in which nothing changed, with and without min_lock_left, and counts their requests.
func BenchmarkUnchangedPass(b *testing.B) {
	for name, left := range map[string]time.Duration{"without": 0, "with": 30 * day} {
		b.Run(name, func(b *testing.B) {
			l := newLockRig(b)
			l.left = left
			for i := range 5000 {
				l.src.put(fmt.Sprintf("item/%04d", i), words(uint64(i), 500))
			}
			l.mustPass()
			l.mustPass()
			settings := l.keeps.settings
			clear(l.keeps.asked)
			for b.Loop() {
				l.mustPass()
			}
			b.ReportMetric(float64(len(l.keeps.asked))/float64(b.N), "locks/pass")
			b.ReportMetric(float64(l.keeps.settings-settings)/float64(b.N), "settings/pass")
		})
	}
}

// TestChunkTablesDoNotGrow stores a source again and again for half a year: what is known of packs that nothing rests on any more goes.
func TestChunkTablesDoNotGrow(t *testing.T) {
	l := newLockRig(t)
	l.fill()
	size := func() (n int64) {
		v := l.open()
		live, err := v.Live(context.Background(), *l.chain(v).Newest().List)
		must(t, err)
		for _, m := range live.Meta {
			if m.Role == "table" {
				n += m.Size
			}
		}
		return n
	}
	l.mustPass()
	first := size()
	for range 12 {
		l.wait(16 * day)
		if sum := l.mustPass(); sum.Renewed != 20 {
			t.Fatalf("%d renewed", sum.Renewed)
		}
	}
	// Those of the last pass, and those before it whose own lock still lasts.
	if last := size(); first == 0 || last > 3*first {
		t.Errorf("the tables came to %d bytes at first and to %d after half a year", first, last)
	}
	l.check(l.in(30 * day))
	l.dir += "lost"
	l.src.put("item/copy", l.src.copy()["item/03"])
	if sum := l.mustPass(); sum.StoredChunks != 0 || sum.Renewed != 0 {
		t.Errorf("after the loss of the local state %d chunks were stored, %d items renewed", sum.StoredChunks, sum.Renewed)
	}
}

// TestNothingIsCommittedThatIsNotAllowed ends a pass at its first commit that is not allowed; the next one goes on from what was stored.
func TestNothingIsCommittedThatIsNotAllowed(t *testing.T) {
	l := newLockRig(t)
	l.fill()
	l.mustPass()
	before := l.newest().Commit.Seq
	l.src.put("item/20", words(99, 4000))
	no := errors.New("no longer")
	asked := 0
	_, err := l.passWith(agent.Options{Allow: func(context.Context) error { asked++; return no }})
	if !errors.Is(err, no) || asked != 1 || l.newest().Commit.Seq != before {
		t.Errorf("asked %d times, %v, commit %d after %d", asked, err, l.newest().Commit.Seq, before)
	}
	sum, err := l.passWith(agent.Options{Allow: func(context.Context) error { asked++; return nil }})
	if err != nil || asked != 2 || sum.New != 1 || l.newest().Commit.Seq != before+1 {
		t.Errorf("asked %d times, %v, %+v", asked, err, sum)
	}
	l.check(l.in(30 * day))
}
