package providers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
)

// Partial is what a Driver implements whose type has the methods of Historian and Keeper though not every value has the means: one that wraps another
// driver, or serves several kinds of store. AsHistorian and AsKeeper ask it.
type Partial interface {
	// Can says which of the two this value is.
	Can() (historian, keeper bool)
}

// OldestFirst is what a Historian may implement whose store lists the versions of a name with the oldest first. Turning them around would take the memory
// for all of them.
type OldestFirst interface{ OldestFirst() bool }

// AsHistorian returns the driver as a Historian, where it is one.
func AsHistorian(d Driver) (Historian, bool) {
	if p, ok := d.(Partial); ok {
		if can, _ := p.Can(); !can {
			return nil, false
		}
	}
	h, ok := d.(Historian)
	return h, ok
}

// AsKeeper returns the driver as a Keeper, where it is one.
func AsKeeper(d Driver) (Keeper, bool) {
	if p, ok := d.(Partial); ok {
		if _, can := p.Can(); !can {
			return nil, false
		}
	}
	k, ok := d.(Keeper)
	return k, ok
}

// Sight says how much of the names' history this store and credential show. The store is asked once for a version of any object of the vault, and its
// answer is remembered, as long as the Bucket lives, unless there was nothing to see. Every failure but a refusal is returned.
func (b *Bucket) Sight(ctx context.Context) (Sight, error) {
	if b.historian == nil {
		return SightNone, nil
	}
	if s := b.sight.Load(); s != nil {
		return *s, nil
	}
	s, sure, err := b.look(ctx)
	if err != nil {
		return "", err
	}
	if sure {
		b.sight.Store(&s)
	}
	return s, nil
}

// look asks for one version. A store that does not know the question may answer with a list of none: so where it shows nothing, it is asked for objects too,
// and it is no sight when it has some. sure is false where the vault is empty: then nothing can be told.
func (b *Bucket) look(ctx context.Context) (s Sight, sure bool, err error) {
	for range 2 {
		page, _, _, err := b.versionPage(ctx, "", Mark{}, 1)
		switch {
		case KindOf(err) == Denied:
			return SightDenied, true, nil
		case KindOf(err) == Unsupported:
			return SightNone, true, nil
		case err != nil:
			return "", false, err
		case len(page) > 0:
			return SightSeen, true, nil
		}
		objects, _, err := b.page(ctx, "", "", 1)
		if err != nil && KindOf(err) != Denied {
			return "", false, err
		}
		if len(objects) == 0 {
			return SightSeen, false, nil
		}
		// Once more: the object may have been created between the two.
	}
	return SightNone, true, nil
}

// Names yields what List does, and the names whose current version is a marker, or that have only noncurrent versions, as well: each with what lies beneath. The
// order is strictly ascending, the checks and the end are as List's. A name may have any number of versions: all are counted, and the oldest
// remembered. Where Sight is not SightSeen it is List, and each Name has the one version without an id.
func (b *Bucket) Names(ctx context.Context, prefix, after string) iter.Seq2[Name, error] {
	return func(yield func(Name, error) bool) {
		if err := CheckPrefix("list", prefix); err != nil {
			yield(Name{}, err)
			return
		}
		sight, err := b.Sight(ctx)
		switch {
		case err != nil:
			yield(Name{}, err)
		case sight == SightSeen:
			b.gather(ctx, prefix, after, yield)
		default:
			for info, err := range b.List(ctx, prefix, after) {
				if !yield(sole(info), err) {
					return
				}
			}
		}
	}
}

// gather puts the versions of each name together.
func (b *Bucket) gather(ctx context.Context, prefix, after string, yield func(Name, error) bool) {
	l := b.layers()
	for v, err := range b.versions(ctx, prefix, Mark{Name: after}) {
		if err != nil {
			// What is known of the last name may not be all: it is not yielded.
			yield(Name{}, err)
			return
		}
		if l.seen > 0 && l.name.Name != v.Name {
			if !yield(l.end(), nil) {
				return
			}
			l = b.layers()
		}
		if err := l.add(v); err != nil {
			yield(Name{}, err)
			return
		}
	}
	if l.seen > 0 {
		yield(l.end(), nil)
	}
}

// sole is a name of which nothing is known but the object that a plain listing shows.
func sole(info Info) Name {
	if info.Name == "" {
		return Name{}
	}
	return Name{Info: info, Versions: 1, Oldest: []Version{{Info: info, Current: true}}}
}

// layers is what is known of one name while its versions are listed.
type layers struct {
	name    Name
	oldest  []Version // at most MaxHistory: as listed, or a ring of the last ones
	seen    int
	upward  bool // listed with the oldest first
	current bool // one was
}

func (b *Bucket) layers() layers {
	up, ok := b.historian.(OldestFirst)
	return layers{upward: ok && up.OldestFirst()}
}

// add takes the next version. The current one is the newest: at another place it means that the store does not list in its order, and that the oldest is another than it
// seems.
func (l *layers) add(v Version) error {
	if misplaced := v.Current && l.seen > 0; l.current && l.upward || misplaced && !l.upward {
		return &Error{Kind: Other, Op: "list", Name: v.Name, Err: errors.New("the store lists the current version among the others, so it can't be told which is the oldest: try again, and if this stays, the store does not list versions as it should")}
	}
	l.current = v.Current
	switch {
	case len(l.oldest) < MaxHistory:
		l.oldest = append(l.oldest, v)
	case !l.upward:
		l.oldest[l.seen%MaxHistory] = v
	}
	l.seen++
	l.name.Name = v.Name
	if v.Marker {
		l.name.Markers++
		return nil
	}
	if l.name.Versions++; l.name.Versions == 1 || !l.upward {
		l.name.Info, l.name.ID, l.name.Hidden = v.Info, v.ID, !v.Current
	}
	return nil
}

// end returns the name.
func (l *layers) end() Name {
	if l.name.Versions == 0 {
		l.name.Hidden = true
	}
	if l.name.Oldest = l.oldest; l.upward {
		return l.name
	}
	l.name.Oldest = make([]Version, len(l.oldest))
	for i := range l.oldest {
		l.name.Oldest[i] = l.oldest[(l.seen-1-i)%MaxHistory]
	}
	return l.name
}

// History returns one name with what lies beneath it, or fails with kind NotFound where there is neither a version nor a marker. Where Sight is not SightSeen it
// is Stat.
func (b *Bucket) History(ctx context.Context, name string) (Name, error) {
	if err := CheckName("stat", name); err != nil {
		return Name{}, err
	}
	sight, err := b.Sight(ctx)
	if err != nil {
		return Name{}, err
	}
	if sight != SightSeen {
		info, err := b.Stat(ctx, name)
		return sole(info), err
	}
	l := b.layers()
	for v, err := range b.Versions(ctx, name) {
		if err != nil {
			return Name{}, err
		}
		if err := l.add(v); err != nil {
			return Name{}, err
		}
	}
	if l.seen == 0 {
		return Name{}, &Error{Kind: NotFound, Op: "stat", Name: name, Err: errors.New("there is neither a version nor a marker")}
	}
	return l.end(), nil
}

// Versions yields all versions and markers of one name, however many there are, in the store's order, which is the newest first on all but those that are OldestFirst: what
// Name.Oldest is too short for. The
// first error ends it. It is kind Unsupported where the store has none to show, and it yields nothing where nothing has the name.
func (b *Bucket) Versions(ctx context.Context, name string) iter.Seq2[Version, error] {
	return func(yield func(Version, error) bool) {
		if err := CheckName("list", name); err != nil {
			yield(Version{}, err)
			return
		}
		for v, err := range b.versions(ctx, name, Mark{}) {
			if err == nil && v.Name != name {
				return // longer names follow
			}
			if !yield(v, err) {
				return
			}
		}
	}
}

// versions yields what lies behind the mark, page after page.
func (b *Bucket) versions(ctx context.Context, prefix string, after Mark) iter.Seq2[Version, error] {
	return func(yield func(Version, error) bool) {
		// Marks within one name have no order that could be checked. A store that goes round in them is seen by an old mark that comes again;
		// the old one is replaced after 1, 2, 4, 8 … pages, so that every circle is found.
		old, pages, fresh := after, 0, 1
		for more := true; more; {
			page, next, again, err := b.versionPage(ctx, prefix, after, b.listPage)
			if err == nil && again && next == old {
				err = &Error{Kind: Other, Op: "list", Name: prefix, Err: fmt.Errorf("the store lists versions in a circle: it comes back to %q", next.Name)}
			}
			if err != nil {
				yield(Version{}, err)
				return
			}
			for _, v := range page {
				if !isFolder(v.Name) && !yield(v, nil) {
					return
				}
			}
			after, more = next, again
			if pages++; pages == fresh {
				old, pages, fresh = next, 0, 2*fresh
			}
		}
	}
}

// versionPage fetches and checks one page of versions.
func (b *Bucket) versionPage(ctx context.Context, prefix string, after Mark, limit int) (page []Version, next Mark, more bool, err error) {
	if b.historian == nil {
		return nil, Mark{}, false, unasked("list", prefix)
	}
	err = b.do(ctx, "list", prefix, func(ctx context.Context) (err error) {
		b.lists.Add(1)
		page, next, more, err = b.historian.Versions(ctx, prefix, after, limit)
		return err
	})
	if err == nil {
		err = checkVersions(prefix, after, page, next, more)
	}
	if err != nil {
		return nil, Mark{}, false, err
	}
	return page, next, more, nil
}

// checkVersions refuses a page that is not what was asked for, or not in order.
func checkVersions(prefix string, after Mark, page []Version, next Mark, more bool) error {
	wrong := func(format string, args ...any) error {
		return &Error{Kind: Other, Op: "list", Name: prefix, Err: fmt.Errorf(format, args...)}
	}
	last := after.Name
	for i := range page {
		name := page[i].Name
		switch {
		case !strings.HasPrefix(name, prefix):
			return wrong("the store lists versions of %q, which does not begin so", name)
		case name < last || name == "" || i == 0 && name == last && after.ID == "":
			return wrong("the store lists versions out of order: %q behind %q", name, last)
		}
		last = name
	}
	switch {
	case !more:
		return nil
	case len(page) == 0:
		return wrong("the store says that more versions follow %q and lists none", after.Name)
	case next == after || next.Name < last:
		return wrong("the store lists versions up to %q and goes on behind %q", last, next.Name)
	}
	return nil
}

// ReadVersion is ReadAll of one version; the empty id is the plain read.
func (b *Bucket) ReadVersion(ctx context.Context, name, id string, max int64) ([]byte, error) {
	return b.readAll(ctx, name, id, max)
}

// ReadVersionRange is ReadRange of one version; the empty id is the plain read.
func (b *Bucket) ReadVersionRange(ctx context.Context, name, id string, off int64, dst []byte) (int, error) {
	return b.readRange(ctx, name, id, off, dst)
}

// OpenVersionStream is OpenStream of one version; the empty id is the plain read.
func (b *Bucket) OpenVersionStream(ctx context.Context, name, id string) (io.ReadCloser, error) {
	return b.openStream(ctx, name, id)
}

// Lock tells until when a version, or what a plain read sees where id is empty, can't be removed. It fails with kind Unsupported where the store can't be asked.
func (b *Bucket) Lock(ctx context.Context, name, id string) (lock Lock, err error) {
	if err := CheckName("lock", name); err != nil {
		return Lock{}, err
	}
	if b.keeper == nil {
		return Lock{}, unasked("lock", name)
	}
	err = b.do(ctx, "lock", name, func(ctx context.Context) (err error) {
		b.stats.Add(1)
		lock, err = b.keeper.Lock(ctx, name, id)
		return err
	})
	return lock, err
}

// Settings tells how the bucket keeps what it holds. What can't be read is in Settings.Unknown; "all" where the store can't be asked at all.
func (b *Bucket) Settings(ctx context.Context) (s Settings, err error) {
	if b.keeper == nil {
		return Settings{Unknown: map[string]string{"all": errUnasked.Error()}}, nil
	}
	err = b.do(ctx, "settings", "", func(ctx context.Context) (err error) {
		b.stats.Add(1)
		s, err = b.keeper.Settings(ctx)
		return err
	})
	return s, err
}

var errUnasked = errors.New("this kind of store, as farshore speaks to it, can't be asked")

func unasked(op, name string) error {
	return &Error{Kind: Unsupported, Op: op, Name: name, Err: errUnasked}
}
