package gcsprobe

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"cloud.google.com/go/storage"

	"farshore/agent/probe"
)

// impossible is a metageneration that nothing has: they count changes from 1.
const impossible = math.MaxInt64

// Object returns the probes of an object. The first ones change only metadata of the canary, the last ones may replace or remove it.
func (a *Attacker) Object() []probe.ObjectProbe {
	return []probe.ObjectProbe{
		a.probe("update-metadata", probe.NoDestroy, probe.Loosens, "storage.objects.update", a.updateMetadata),
		a.probe("release-hold", probe.NoShorten, probe.Loosens, "storage.objects.update", a.releaseHold),
		a.probe("set-retention", probe.NoShorten, probe.Loosens, "storage.objects.setRetention", a.setRetention),
		fresh(a.probe("rewrite-onto", probe.CreateOnly, probe.Hides, "storage.objects.delete", a.rewriteOnto)),
		fresh(a.probe("compose-onto", probe.CreateOnly, probe.Hides, "storage.objects.delete", a.composeOnto)),
		fresh(a.probe("overwrite", probe.CreateOnly, probe.Hides, "storage.objects.delete", a.overwrite)),
		fresh(a.probe("delete", probe.NoDestroy, probe.Hides, "storage.objects.delete", a.delete)),
		fresh(a.probe("delete-version", probe.NoDestroy, probe.Destroys, "storage.objects.delete", a.deleteVersion)),
	}
}

// try is one request at an object, which is a canary's.
type try func(ctx context.Context, o *storage.ObjectHandle, c probe.Canary) probe.Result

func (a *Attacker) probe(name string, p probe.Property, h probe.Harm, grant string, do try) probe.ObjectProbe {
	return probe.ObjectProbe{
		Kind: probe.Kind{Probe: name, Property: p, Harm: h, Grant: grant},
		Try: func(ctx context.Context, c probe.Canary) probe.Result {
			o, err := a.object(c.Name)
			if err != nil {
				return refused(err)
			}
			return do(ctx, o, c)
		},
	}
}

func fresh(p probe.ObjectProbe) probe.ObjectProbe {
	p.Fresh = true
	return p
}

// updateMetadata sets the canary's custom time, by which a lifecycle rule could remove it.
func (a *Attacker) updateMetadata(ctx context.Context, o *storage.ObjectHandle, _ probe.Canary) probe.Result {
	return update(ctx, o, storage.ObjectAttrsToUpdate{CustomTime: a.now()})
}

// releaseHold lifts a hold that the canary does not have.
func (a *Attacker) releaseHold(ctx context.Context, o *storage.ObjectHandle, _ probe.Canary) probe.Result {
	return update(ctx, o, storage.ObjectAttrsToUpdate{TemporaryHold: false, EventBasedHold: false})
}

// shortRetention is the lock that setRetention asks for: it can be lifted, and ends by itself.
const shortRetention = time.Minute

// setRetention gives the canary a short retention that can be lifted, in place of a longer one where it has one that is not locked.
func (a *Attacker) setRetention(ctx context.Context, o *storage.ObjectHandle, _ probe.Canary) probe.Result {
	return update(ctx, o.OverrideUnlockedRetention(true),
		storage.ObjectAttrsToUpdate{Retention: &storage.ObjectRetention{Mode: "Unlocked", RetainUntil: a.now().Add(shortRetention)}})
}

func update(ctx context.Context, o *storage.ObjectHandle, change storage.ObjectAttrsToUpdate) probe.Result {
	_, err := o.Update(ctx, change)
	return answer(err)
}

// overwrite stores other bytes under the canary's name, without a condition.
func (a *Attacker) overwrite(ctx context.Context, o *storage.ObjectHandle, _ probe.Canary) probe.Result {
	_, err := write(ctx, o, []byte("overwritten"))
	return answer(err)
}

// rewriteOnto has the store copy a canary onto the canary.
func (a *Attacker) rewriteOnto(ctx context.Context, o *storage.ObjectHandle, c probe.Canary) probe.Result {
	return a.fromSources(c, func(source *storage.ObjectHandle) probe.Result {
		_, err := o.CopierFrom(source).Run(ctx)
		return answer(err)
	})
}

// composeOnto has the store put the canary together anew, out of a canary.
func (a *Attacker) composeOnto(ctx context.Context, o *storage.ObjectHandle, c probe.Canary) probe.Result {
	return a.fromSources(c, func(source *storage.ObjectHandle) probe.Result {
		_, err := o.ComposerFrom(source).Run(ctx)
		return answer(err)
	})
}

// fromSources tries with the canary itself as the source, and where that can't be read, with those of other rooms: one of each at most.
func (a *Attacker) fromSources(c probe.Canary, do func(source *storage.ObjectHandle) probe.Result) probe.Result {
	var names []string
	if c.Exists {
		names = append(names, c.Name)
	}
	for _, r := range slices.Sorted(maps.Keys(a.sources)) {
		names = append(names, a.sources[r])
	}
	last := refused(errors.New("there is no canary to copy from"))
	for _, name := range names {
		source, err := a.object(name)
		if err != nil {
			return refused(err)
		}
		// An earlier probe may have removed the source.
		if last = do(source); !unread(last) && !strings.HasPrefix(last.Code, "HTTP 404") {
			return last
		}
	}
	return last
}

// delete deletes the canary as whoever knows only its name would. There is no condition that can't be met, so that it shows whether anything is left beneath.
func (a *Attacker) delete(ctx context.Context, o *storage.ObjectHandle, _ probe.Canary) probe.Result {
	return answer(o.Delete(ctx))
}

// deleteVersion asks for one generation of the canary to be deleted for good, under a condition that can't be met.
func (a *Attacker) deleteVersion(ctx context.Context, o *storage.ObjectHandle, c probe.Canary) probe.Result {
	generation := int64(1)
	if c.Exists {
		g, err := strconv.ParseInt(c.Version, 10, 64)
		if err != nil || g < 1 {
			return refused(fmt.Errorf("the canary's generation %q is no number", c.Version))
		}
		generation = g
	}
	return answer(o.Generation(generation).If(storage.Conditions{MetagenerationMatch: impossible}).Delete(ctx))
}
