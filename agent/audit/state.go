package audit

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"farshore/agent/record"
	"farshore/agent/report"
	"farshore/agent/vault"
	"farshore/providers"
)

// newest is the chain's newest complete snapshot that counts, nil where there is none; good the newest that is not suspicious, too.
func newest(c *vault.Chain) (all, good *vault.Commit) {
	for i := len(c.Commits) - 1; i >= 0 && good == nil; i-- {
		k := c.Commits[i]
		if k.Revoked || k.Root == nil || !k.Complete {
			continue
		}
		if all == nil {
			all = k
		}
		if len(k.Suspicious) == 0 {
			good = k
		}
	}
	return all, good
}

// itemsOf sums what the newest complete snapshots say that they hold.
func itemsOf(chains []*vault.Chain) (n, bytes int64) {
	for _, c := range chains {
		if k, _ := newest(c); k != nil {
			n, bytes = plus(n, k.Counts.Items), plus(bytes, k.Counts.Bytes)
		}
	}
	return n, bytes
}

// plus adds numbers that commits state, not below 0, up to the largest that a report has: whoever signs a commit states what he likes.
func plus(a, b int64) int64 { return min(a+min(b, report.MaxNumber), report.MaxNumber) }

// sources says how fresh each chain's snapshots are.
func (r *run) sources(now time.Time) (out []report.SourceState) {
	for _, c := range r.chains {
		if c.ID == "" || c.Head() == nil && c.RolledBack == nil {
			continue
		}
		s := report.SourceState{Chain: c.ID, Retired: c.Retired(), RolledBack: c.RolledBack != nil}
		for _, k := range c.Commits {
			s.StoredBytes = plus(s.StoredBytes, k.AddedBytes)
			if k.Complete && !k.Revoked && k.Root != nil {
				s.Snapshots++
			}
		}
		all, good := newest(c)
		since := time.Time{}
		if c.Head() != nil {
			since = c.Commits[0].Time
		}
		if all != nil {
			s.Seq, s.Time, s.Suspicious, since = all.Seq, all.Time.UTC(), all.Suspicious, all.Time
			s.Items, s.Bytes, s.Unreadable = all.Counts.Items, all.Counts.Bytes, all.Counts.Unreadable
			s.AgeSeconds = int64(max(0, now.Sub(all.Time)) / time.Second)
		}
		if good != nil {
			s.GoodSeq, s.GoodTime = good.Seq, good.Time.UTC()
		}
		if limit := r.maxAge(c.Source.Name); limit > 0 {
			s.TargetSeconds = max(1, int64(limit/time.Second))
			s.Late = !s.Retired && now.Sub(since) > limit
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b report.SourceState) int { return cmp.Compare(a.Chain, b.Chain) })
	return out
}

// maxAge is how old the newest complete snapshot of a source may be; its name is empty where it is sealed. 0: nobody said.
func (r *run) maxAge(source string) time.Duration {
	if limit, named := r.o.MaxAge[source]; named && source != "" {
		return limit
	}
	return r.o.MaxAgeElse
}

// written says how what the commits added was verified when it was written.
func written(chains []*vault.Chain) (w report.Written) {
	for _, c := range chains {
		for _, k := range c.Commits {
			w.Adopted = plus(w.Adopted, k.AdoptedPacks)
			switch b := k.ReadBack; {
			case b != nil:
				w.Commits++
				w.Items, w.Bytes = plus(w.Items, b.OfItems), plus(w.Bytes, b.OfBytes)
				w.ItemsRead, w.BytesRead = plus(w.ItemsRead, b.Items), plus(w.BytesRead, b.Bytes)
			case k.AddedPacks > 0:
				w.Silent++
			}
		}
	}
	return w
}

// keys says what is known of the recovery keys.
func (r *run) keys() report.KeyState {
	var k report.KeyState
	for _, x := range r.v.Statement().Recipients {
		if x.Role == record.RoleRecovery {
			k.Recovery++
		}
	}
	if e := r.shelf.Drill; e != nil && e.Drill != nil {
		d := e.Drill
		k.DrillTime, k.DrillDrawn, k.DrillOpened, k.DrillFailed = d.Time.UTC(), d.Drawn, d.Opened, d.Failed
	}
	return k
}

// locks asks the store how it keeps what the newest complete snapshots need, and holds it against what the signer's last audit saw.
func (r *run) locks(ctx context.Context) error {
	settings, err := r.v.Bucket().Settings(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		r.a.Store = &report.StoreState{Unknown: []string{"all: " + words(err)}}
		return nil
	}
	if settings.Unknown["all"] != "" {
		return nil
	}
	r.a.Store = storeState(settings)
	if err := r.survey(ctx); err != nil {
		return err
	}
	return r.compareStore(ctx)
}

// storeState puts a bucket's settings into words without places: prefixes and the store's own reasons are left out.
func storeState(s providers.Settings) *report.StoreState {
	out := &report.StoreState{Versioning: s.Versioning, Lock: s.Lock, Mode: string(s.Mode), RetentionSeconds: int64(max(0, s.Retention) / time.Second)}
	for _, rule := range s.Rules {
		text := fmt.Sprintf("rule %q", rule.ID)
		for _, after := range []struct {
			what string
			d    *time.Duration
		}{{"current versions", rule.Expire}, {"versions that are no longer current", rule.Noncurrent}} {
			if after.d != nil {
				text += fmt.Sprintf(" removes %s after %s", after.what, inDays(*after.d))
			}
		}
		if rule.Prefix != "" {
			text += ", below a prefix"
		}
		out.Rules = append(out.Rules, text)
	}
	for _, what := range []string{"versioning", "lock", "rules"} {
		if s.Unknown[what] != "" {
			out.Unknown = append(out.Unknown, what+": the store did not tell")
		}
	}
	slices.Sort(out.Rules)
	return out
}

func inDays(d time.Duration) string {
	if d%day == 0 {
		return fmt.Sprintf("%d d", d/day)
	}
	return d.String()
}

// survey asks for the locks of a sample of what the newest good snapshots need, as many of each chain.
func (r *run) survey(ctx context.Context) error {
	var chains []*vault.Chain
	for _, c := range r.chains {
		if k, _ := newest(c); k != nil {
			chains = append(chains, c)
		}
	}
	l := new(report.LockState)
	for _, c := range chains {
		k := c.NewestGood() // what is restored first; a suspicious one is newer, and locked for longer
		if k == nil {
			k, _ = newest(c)
		}
		got, err := r.v.Locks(ctx, c, k, max(10, vault.MaxLocks/2/len(chains)), r.clock.wall())
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			l.Why = cmp.Or(l.Why, words(err))
			continue
		}
		addLocks(l, got.Contents)
		addLocks(l, got.Commits)
	}
	r.a.Locks = l
	return nil
}

func addLocks(l *report.LockState, c vault.LockCount) {
	l.Needed += c.Needed
	l.Estimated = l.Estimated || c.Estimated
	l.Asked += c.Asked
	l.Locked += c.Locked
	l.Liftable += c.Liftable
	l.Expired += c.Expired
	l.Unlocked += c.Unlocked
	l.Unknown += c.Unknown + c.Missing
	if c.Unknown > 0 {
		l.Why = cmp.Or(l.Why, "the store did not tell of some")
	}
	if !c.First.IsZero() && (l.First.IsZero() || c.First.Before(l.First)) {
		l.First, l.FirstObject = c.First.UTC(), c.FirstObject
	}
}

// compareStore says what changed since the signer's last audit that saw it. One thing can be proved: a lock that nobody can lift ends, on the same object, earlier than it was
// seen to, or is gone. That another first lock ends earlier, or that new objects are locked for less, may have been the owner's will: it is said, and proves nothing.
func (r *run) compareStore(ctx context.Context) error {
	last := r.last
	if last == nil {
		return nil
	}
	if last.Store != nil {
		for _, c := range changes(last.Store, r.a.Store) {
			r.a.Store.Changed = append(r.a.Store.Changed, c.text)
			if c.weaker {
				r.notes.note(vault.Notice, "", "the store keeps less than at the last audit: %s", c.text)
			}
		}
	}
	if last.Locks == nil || last.Locks.First.IsZero() {
		return nil
	}
	if err := r.sameLock(ctx, last.Locks.FirstObject, last.Locks.First); err != nil {
		return err
	}
	now, was := r.a.Locks, last.Locks
	if !now.First.IsZero() && now.First.Before(was.First) && now.FirstObject != was.FirstObject && was.First.After(r.clock.wall()) {
		r.notes.note(vault.Notice, now.FirstObject, "the first lock ends on %s, and at the last audit the first was to end on %s: it is another object's, so that this proves nothing",
			record.FormatTime(now.First), record.FormatTime(was.First))
	}
	return nil
}

// sameLock asks for the lock of the object whose lock was the first to end at the last audit. What was said of it was a binding lock.
func (r *run) sameLock(ctx context.Context, object string, end time.Time) error {
	if room(object) == "" || !end.After(r.clock.wall()) {
		return nil
	}
	n, err := r.v.Bucket().History(ctx, object)
	var lock providers.Lock
	if err == nil && n.Versions > 0 {
		lock, err = r.v.Bucket().Lock(ctx, object, n.ID)
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case providers.KindOf(err) == providers.NotFound, err == nil && n.Versions == 0:
		r.notes.note(vault.Tampering, object, "it is gone, and at the last audit it was locked until %s such that nobody can lift it", record.FormatTime(end))
	case err != nil:
		return nil // LockState counts what could not be told
	case !lock.Mode.Binding():
		r.notes.note(vault.Tampering, object, "it has no lock that binds everybody any more, and at the last audit it had one until %s", record.FormatTime(end))
	case lock.Until.Before(end.Truncate(time.Second)):
		r.notes.note(vault.Tampering, object, "its lock ends on %s, and at the last audit it ended on %s: such a lock can't be shortened by anybody", record.FormatTime(lock.Until), record.FormatTime(end))
	}
	return nil
}

// change is a difference between two states of a store; weaker is one by which it keeps less.
type change struct {
	text   string
	weaker bool
}

func changes(was, now *report.StoreState) (out []change) {
	differ := func(what string, a, b any, weaker bool) {
		if a != b {
			out = append(out, change{fmt.Sprintf("%s: %v, was %v", what, b, a), weaker})
		}
	}
	unknown := func(what string) bool {
		has := func(s *report.StoreState) bool {
			return slices.ContainsFunc(s.Unknown, func(u string) bool { return u == what+": the store did not tell" || len(u) > 4 && u[:4] == "all:" })
		}
		return has(was) || has(now)
	}
	none := func(s string) string { return cmp.Or(s, "none") }
	if !unknown("versioning") {
		differ("versioning", none(was.Versioning), none(now.Versioning), was.Versioning == "on")
	}
	if !unknown("lock") {
		differ("locks", was.Lock, now.Lock, was.Lock)
		differ("mode of new objects' lock", none(was.Mode), none(now.Mode), providers.LockMode(was.Mode).Binding() && !providers.LockMode(now.Mode).Binding() || now.Mode == "")
		differ("new objects are locked for", inDays(seconds(was.RetentionSeconds)), inDays(seconds(now.RetentionSeconds)), now.RetentionSeconds < was.RetentionSeconds)
	}
	if unknown("rules") {
		return out
	}
	for _, rule := range now.Rules {
		if !slices.Contains(was.Rules, rule) {
			out = append(out, change{"new: " + rule, true})
		}
	}
	for _, rule := range was.Rules {
		if !slices.Contains(now.Rules, rule) {
			out = append(out, change{"no longer: " + rule, false})
		}
	}
	return out
}
