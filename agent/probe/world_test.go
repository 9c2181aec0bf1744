package probe_test

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"farshore/agent/probe"
	"farshore/agent/record"
	"farshore/providers"
)

// world is a store in memory and a credential for it: both what the engine asks and what an attacker tries. What a test does not set is a bucket with versions
// and a COMPLIANCE lock of 40 days, and a writer whose every attack is denied.
type world struct {
	now      time.Time
	versions map[string][]providers.Version // the newest first
	bodies   map[string][]byte
	locks    map[string]providers.Lock
	next     int

	settings    providers.Settings
	after       *providers.Settings // from the second question on
	promised    *providers.Settings // what is told, where it is not what objects get
	asked       int
	unversioned bool
	sight       providers.Sight
	lockErr     func(name string) error
	readErr     error
	statErr     error
	listErr     error
	vanish      bool // a create is accepted and nothing is stored

	create  func(room string, n int) probe.Result // n counts the creates in the room; the zero Result is the default
	creates map[string]int
	answer  func(room, name string) probe.Result // of a probe; the zero Result is Denied
	tried   []string
	who     string
	whoErr  error
}

const day = 24 * time.Hour

func newWorld() *world {
	return &world{
		now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC), versions: map[string][]providers.Version{}, bodies: map[string][]byte{}, locks: map[string]providers.Lock{},
		settings: providers.Settings{Versioning: "on", Lock: true, Mode: providers.Compliance, Retention: 40 * day}, sight: providers.SightSeen,
		creates: map[string]int{}, who: "key one",
	}
}

func room(name string) string { r, _, _ := strings.Cut(name, "/"); return r }

func failed(kind providers.Kind, name string) error {
	return &providers.Error{Kind: kind, Op: "test", Name: name}
}

func (w *world) Traits() providers.Traits {
	return providers.Traits{Kind: "test", Place: "s3://bucket/vaults/one?region=x"}
}

func (w *world) Stat(_ context.Context, name string) (providers.Info, error) {
	if w.statErr != nil {
		return providers.Info{}, w.statErr
	}
	if v := w.versions[name]; len(v) > 0 && !v[0].Marker {
		return v[0].Info, nil
	}
	return providers.Info{}, failed(providers.NotFound, name)
}

func (w *world) List(_ context.Context, prefix, after string) iter.Seq2[providers.Info, error] {
	return func(yield func(providers.Info, error) bool) {
		if w.listErr != nil {
			yield(providers.Info{}, w.listErr)
			return
		}
		for name, v := range w.versions {
			if info := v[0].Info; !v[0].Marker && strings.HasPrefix(name, prefix) && name > after && !yield(info, nil) {
				return
			}
		}
	}
}

func (w *world) Sight(context.Context) (providers.Sight, error) { return w.sight, nil }

func (w *world) History(_ context.Context, name string) (providers.Name, error) {
	if len(w.versions[name]) == 0 {
		return providers.Name{}, failed(providers.NotFound, name)
	}
	n := providers.Name{Oldest: slices.Clone(w.versions[name])}
	slices.Reverse(n.Oldest)
	return n, nil
}

func (w *world) ReadVersion(_ context.Context, name, id string, _ int64) ([]byte, error) {
	if w.readErr != nil {
		return nil, w.readErr
	}
	return w.bodies[name+id], nil
}

func (w *world) Lock(_ context.Context, name, id string) (providers.Lock, error) {
	if w.lockErr != nil {
		if err := w.lockErr(name); err != nil {
			return providers.Lock{}, err
		}
	}
	return w.locks[name+id], nil
}

func (w *world) Settings(context.Context) (providers.Settings, error) {
	w.asked++
	if w.asked > 1 && w.after != nil {
		return *w.after, nil
	}
	if w.promised != nil {
		return *w.promised, nil
	}
	return w.settings, nil
}

// put stores a version, in place of the earlier one where there are no versions.
func (w *world) put(name string, body []byte, marker bool) string {
	w.next++
	id := fmt.Sprint("v", w.next)
	if w.unversioned {
		delete(w.versions, name)
		id = ""
		if marker {
			return ""
		}
	}
	v := providers.Version{Info: providers.Info{Name: name, Size: int64(len(body))}, ID: id, Marker: marker, Current: true}
	w.versions[name] = append([]providers.Version{v}, w.versions[name]...)
	w.bodies[name+id] = body
	if w.settings.Mode != providers.LockNone && !marker {
		w.locks[name+id] = providers.Lock{Mode: w.settings.Mode, Until: w.now.Add(w.settings.Retention)}
	}
	return id
}

func (w *world) Principal(context.Context) (string, error) { return w.who, w.whoErr }

func (w *world) Notes() []string { return []string{"a note of the store"} }

func (w *world) Create(_ context.Context, name string, body []byte) (string, probe.Result) {
	if !record.IsCanary(name) {
		panic(name)
	}
	var r probe.Result
	w.creates[room(name)]++
	if w.create != nil {
		r = w.create(room(name), w.creates[room(name)])
	}
	if r.Answer == "" && room(name) == "vault" {
		r = probe.Result{Answer: probe.Denied, Code: "AccessDenied"}
	}
	if r.Answer != "" && r.Answer != probe.Permitted {
		return "", r
	}
	if w.vanish {
		return "", probe.Result{Answer: probe.Permitted}
	}
	return w.put(name, body, false), probe.Result{Answer: probe.Permitted, Code: "created"}
}

func (w *world) Object() []probe.ObjectProbe {
	return []probe.ObjectProbe{
		w.probe("overwrite", probe.CreateOnly, probe.Hides, "PutObject", func(c probe.Canary) { w.put(c.Name, []byte("other"), false) }),
		w.probe("set-own-lock", probe.NoShorten, probe.Excess, "OwnLock", func(probe.Canary) {}),
		w.probe("shorten", probe.NoShorten, probe.Loosens, "PutRetention", func(c probe.Canary) { delete(w.locks, c.Name+c.Version) }),
		w.probe("delete", probe.NoDestroy, probe.Hides, "Delete", func(c probe.Canary) { w.put(c.Name, nil, true) }),
		w.probe("delete-version", probe.NoDestroy, probe.Destroys, "DeleteVersion", func(c probe.Canary) { delete(w.versions, c.Name) }),
	}
}

func (w *world) probe(name string, property probe.Property, harm probe.Harm, grant string, does func(probe.Canary)) probe.ObjectProbe {
	return probe.ObjectProbe{Kind: probe.Kind{Probe: name, Property: property, Harm: harm, Grant: grant}, Fresh: true, Try: func(_ context.Context, c probe.Canary) probe.Result {
		r := w.reply(room(c.Name), name)
		if r.Answer == probe.Permitted && c.Exists {
			does(c)
		}
		return r
	}}
}

func (w *world) reply(room, name string) probe.Result {
	w.tried = append(w.tried, room+" "+name)
	if w.answer != nil {
		if r := w.answer(room, name); r.Answer != "" || r.Temporary {
			return r
		}
	}
	return probe.Result{Answer: probe.Denied, Code: "AccessDenied"}
}

func (w *world) Bucket() []probe.BucketProbe {
	return []probe.BucketProbe{{Kind: probe.Kind{Probe: "lifecycle", Property: probe.NoDestroy, Harm: probe.Destroys, Grant: "PutLifecycle"}, Try: func(context.Context) probe.Result {
		return w.reply("", "lifecycle")
	}}}
}
