package gcs

import (
	"context"
	"fmt"
	"time"

	"cloud.google.com/go/storage"

	"farshore/providers"
)

var _ providers.Keeper = (*Driver)(nil)

// policyAge is how long what is known of the bucket's retention policy serves the questions for objects' locks.
const policyAge = 5 * time.Minute

// knownPolicy is what the bucket said of its retention policy.
type knownPolicy struct {
	locked bool
	at     time.Time
}

// Lock tells the lock of a generation (providers.Keeper): the stronger of its own retention and the bucket's policy. Where this credential may not ask for the policy, it
// counts as not locked.
func (d *Driver) Lock(ctx context.Context, name, id string) (providers.Lock, error) {
	o, err := d.generation(name, id)
	if err != nil {
		return providers.Lock{}, &providers.Error{Kind: providers.NotFound, Op: "lock", Name: name, Err: err}
	}
	attrs, err := o.Attrs(ctx)
	if err != nil {
		return providers.Lock{}, d.fail("lock", name, err)
	}
	lock := own(attrs.Retention)
	if until := attrs.RetentionExpirationTime; !until.IsZero() {
		locked, err := d.policyLocked(ctx)
		if err != nil {
			return providers.Lock{}, err
		}
		lock = stronger(lock, providers.Lock{Mode: policyMode(locked), Until: until.UTC()})
	}
	lock.Hold = attrs.TemporaryHold || attrs.EventBasedHold
	return lock, nil
}

// own is the lock that an object's own retention makes.
func own(r *storage.ObjectRetention) providers.Lock {
	switch {
	case r == nil || r.RetainUntil.IsZero():
		return providers.Lock{}
	case r.Mode == "Locked":
		return providers.Lock{Mode: providers.Compliance, Until: r.RetainUntil.UTC()}
	}
	return providers.Lock{Mode: providers.Governance, Until: r.RetainUntil.UTC()}
}

// stronger is the lock that binds everybody, and of two such the longer.
func stronger(a, b providers.Lock) providers.Lock {
	if a.Mode == providers.LockNone || b.Mode.Binding() && !a.Mode.Binding() || a.Mode.Binding() == b.Mode.Binding() && b.Until.After(a.Until) {
		return b
	}
	return a
}

func policyMode(locked bool) providers.LockMode {
	if locked {
		return providers.Policy
	}
	return providers.PolicyUnlocked
}

// policyLocked reports whether the bucket's retention policy is known to be locked.
func (d *Driver) policyLocked(ctx context.Context) (bool, error) {
	d.policyMu.Lock()
	defer d.policyMu.Unlock()
	if !d.policy.at.IsZero() && time.Since(d.policy.at) < policyAge {
		return d.policy.locked, nil
	}
	attrs, err := d.bucket.Attrs(ctx)
	if err != nil {
		if err := d.fail("lock", "", err); providers.KindOf(err) != providers.Denied {
			return false, err
		}
		d.policy = knownPolicy{at: time.Now()}
		return false, nil
	}
	d.policy = knownPolicy{locked: attrs.RetentionPolicy != nil && attrs.RetentionPolicy.IsLocked, at: time.Now()}
	return d.policy.locked, nil
}

// Settings tells how the bucket keeps what it holds (providers.Keeper). A credential without storage.buckets.get learns nothing.
func (d *Driver) Settings(ctx context.Context) (providers.Settings, error) {
	attrs, err := d.bucket.Attrs(ctx)
	if err != nil {
		err := d.fail("settings", "", err)
		if kind := providers.KindOf(err); kind != providers.Denied && kind != providers.Unsupported {
			return providers.Settings{}, err
		}
		why := fmt.Sprintf("%v: storage.buckets.get on the bucket allows it", err)
		return providers.Settings{Unknown: map[string]string{"versioning": why, "lock": why, "rules": why}}, nil
	}
	s := providers.Settings{Versioning: "off", Unknown: map[string]string{}}
	if attrs.VersioningEnabled {
		s.Versioning = "on"
	}
	s.Lock = attrs.ObjectRetentionMode != ""
	if p := attrs.RetentionPolicy; p != nil && p.RetentionPeriod > 0 {
		s.Lock, s.Mode, s.Retention = true, policyMode(p.IsLocked), p.RetentionPeriod
	}
	for i := range attrs.Lifecycle.Rules {
		s.Rules = append(s.Rules, rules(i, &attrs.Lifecycle.Rules[i], time.Now())...)
	}
	return s, nil
}

// rules translates a rule of the lifecycle that deletes: one for each prefix. Rules have no ids here, only places. All conditions of a rule must hold, so that the longest
// age counts; conditions that are not ages or prefixes only make a rule take less, and are left out.
func rules(place int, r *storage.LifecycleRule, now time.Time) []providers.Rule {
	if r.Action.Type != storage.DeleteAction {
		return nil
	}
	c := &r.Condition
	out := providers.Rule{ID: fmt.Sprintf("rule %d", place+1), Tagged: c.DaysSinceCustomTime > 0 || !c.CustomTimeBefore.IsZero()}
	age := max(days(c.AgeInDays), c.CreatedBefore.Sub(now))
	if c.CreatedBefore.IsZero() {
		age = days(c.AgeInDays)
	}
	onlyPast := c.DaysSinceNoncurrentTime > 0 || c.NumNewerVersions > 0 || !c.NoncurrentTimeBefore.IsZero() || c.Liveness == storage.Archived
	if !onlyPast {
		live := max(age, 0)
		out.Expire = &live
	}
	if c.Liveness != storage.Live {
		past := max(age, days(c.DaysSinceNoncurrentTime), 0)
		out.Noncurrent = &past
	}
	if len(c.MatchesPrefix) == 0 {
		return []providers.Rule{out}
	}
	var all []providers.Rule
	for _, prefix := range c.MatchesPrefix {
		out.Prefix = prefix
		all = append(all, out)
	}
	return all
}

func days(n int64) time.Duration { return time.Duration(n) * 24 * time.Hour }
