package probe

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"farshore/providers"
)

// skew is how much shorter than the bucket's default a lock may seem, for the clocks of two machines.
const skew = 15 * time.Minute

// leastLock is how far away the end of a lock has to be where the bucket's default could not be read: one that ends within the hour keeps nothing. The shortest
// default that stores accept is a day.
const leastLock = time.Hour

// beneath looks for the original of a canary that something was laid over, and says what became of it.
func (p *run) beneath(ctx context.Context, c canary, text string) (Fate, string) {
	if !c.Exists {
		return Unseen, join(text, "nothing lay there, so that what it does to an object was not seen in this room")
	}
	ctx, cancel := context.WithTimeout(ctx, 2*p.o.Request)
	defer cancel()
	sight, err := p.store.Sight(ctx)
	switch {
	case err != nil:
		return Unseen, join(text, "what lies beneath could not be looked at: "+err.Error())
	case sight == providers.SightDenied:
		return Unseen, join(text, "the credential may not list versions, so that what lies beneath can't be seen")
	case sight != providers.SightSeen:
		return Gone, join(text, "the store shows no earlier version of it")
	}
	v, fate, why := p.original(ctx, c)
	if fate == Locked {
		fate, why = p.locked(ctx, v)
	}
	return fate, join(text, why)
}

// original finds the version that the canary was created as. Locked stands for "found": its lock is asked next.
func (p *run) original(ctx context.Context, c canary) (providers.Version, Fate, string) {
	n, err := p.store.History(ctx, c.Name)
	switch {
	case providers.KindOf(err) == providers.NotFound:
		return providers.Version{}, Gone, "no version of it is left"
	case err != nil:
		return providers.Version{}, Unseen, "what lies beneath could not be looked at: " + err.Error()
	}
	unread := ""
	for _, v := range n.Oldest {
		if v.Marker || v.Size != int64(len(c.body)) || c.Version != "" && v.ID != c.Version {
			continue
		}
		got, err := p.store.ReadVersion(ctx, c.Name, v.ID, v.Size)
		switch {
		case err == nil && bytes.Equal(got, c.body):
			return v, Locked, ""
		case providers.KindOf(err) == providers.Denied && c.Version != "":
			// It may not read here. The store's id, and the lock under which no version changes, have to do.
			return v, Locked, ""
		case err != nil:
			unread = err.Error()
		}
	}
	if unread != "" {
		return providers.Version{}, Unseen, "what lies beneath could not be read: " + unread
	}
	return providers.Version{}, Gone, "the original is no longer there"
}

// locked says whether the version is kept by a lock that nobody can lift, for as long as the bucket promises.
func (p *run) locked(ctx context.Context, v providers.Version) (Fate, string) {
	l, err := p.store.Lock(ctx, v.Name, v.ID)
	switch {
	case err != nil && providers.KindOf(err) != providers.Unsupported:
		return Unseen, "the original lies beneath, but whether it is locked could not be read: " + err.Error()
	case err != nil || l.Mode == providers.LockNone:
		return Unlocked, "the original lies beneath, but no lock keeps it there: whoever administers the bucket can remove it"
	case !l.Mode.Binding():
		return Unlocked, fmt.Sprintf("the original lies beneath, under a lock of mode %s, which whoever has the permission can lift", l.Mode)
	case l.Until.Before(p.began(v).Add(p.leastLeft())):
		return Unlocked, fmt.Sprintf("the original lies beneath, but its lock ends at %s, sooner than it should", stamp(l.Until))
	}
	return Locked, fmt.Sprintf("the original lies beneath, locked until %s", stamp(l.Until))
}

// began is when a version's lock began, by the store's clock, which is also the one by which it ends; this machine's where the store does not tell.
func (p *run) began(v providers.Version) time.Time {
	if v.Modified.IsZero() {
		return p.o.Now()
	}
	return v.Modified
}

// leastLeft is how long a new object's lock has to last.
func (p *run) leastLeft() time.Duration {
	return max(p.r.Settings.Retention-skew, leastLock)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// prefixOf returns the vault's prefix within its bucket, empty or with a final slash, from an address like s3://bucket/prefix.
func prefixOf(place string) (prefix string, ok bool) {
	u, err := url.Parse(place)
	if err != nil || u.Scheme == "" || u.Opaque != "" {
		return "", false
	}
	prefix = strings.Trim(u.Path, "/")
	if prefix != "" {
		prefix += "/"
	}
	return prefix, true
}
