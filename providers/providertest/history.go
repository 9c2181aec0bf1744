package providertest

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"farshore/providers"
)

// Tamper changes a store behind the driver's back, as a thief would. Names are those of the driver.
type Tamper struct {
	// Overwrite lays other bytes over the name, or creates it.
	Overwrite func(t *testing.T, name string, body []byte)
	// Hide makes plain reads not see the name, which may never have existed where Markers is true.
	Hide func(t *testing.T, name string)
	// Markers is true where Hide lays a marker, false where it only takes the newest version from sight.
	Markers bool
	// Coarse is true where the store does not tell in which order a version and a marker of the same second were made.
	Coarse bool
	// Pages are the sizes in which versions are asked for. Empty stands for 1, 2, 3 and 1000.
	Pages []int
}

// RunHistory tests the driver that open returns as a Historian, on a store that keeps versions. As with Run, names do not meet.
func RunHistory(t *testing.T, open func(t *testing.T) providers.Driver, tamper Tamper) {
	if len(tamper.Pages) == 0 {
		tamper.Pages = []int{1, 2, 3, 1000}
	}
	tests := []struct {
		name string
		test func(*testing.T, *past)
	}{
		{"Plain", testPlain},
		{"Overwritten", testOverwritten},
		{"Hidden", testHidden},
		{"OnlyMarkers", testOnlyMarkers},
		{"CreateBeneath", testCreateBeneath},
		{"VersionRanges", testVersionRanges},
		{"NoSuchVersion", testNoSuchVersion},
		{"VersionPages", testVersionPages},
		{"VersionsCancelled", testVersionsCancelled},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), opTimeout)
			defer cancel()
			d := open(t)
			h, ok := providers.AsHistorian(d)
			if !ok {
				t.Fatal("the driver is no Historian")
			}
			s := &store{Driver: d, t: t, ctx: ctx, dir: "packs/conformance-" + random(8) + "/"}
			tt.test(t, &past{store: s, historian: h, bucket: providers.New(d, providers.Options{Attempts: 3}), tamper: tamper})
		})
	}
}

// past is a store under test that keeps versions.
type past struct {
	*store
	historian providers.Historian
	bucket    *providers.Bucket
	tamper    Tamper
}

// history returns what the Bucket makes of a name, and checks that Names says the same.
func (p *past) history(name string) providers.Name {
	p.t.Helper()
	if sight, err := p.bucket.Sight(p.ctx); sight != providers.SightSeen || err != nil {
		p.t.Fatalf("Sight: %q, %v", sight, err)
	}
	n, err := p.bucket.History(p.ctx, name)
	if err != nil {
		p.t.Fatalf("History of %s: %v", name, err)
	}
	if n.Name != name {
		p.t.Errorf("History of %s is about %s", name, n.Name)
	}
	for listed, err := range p.bucket.Names(p.ctx, name, "") {
		if err != nil {
			p.t.Fatalf("Names from %s: %v", name, err)
		}
		if got, want := fmt.Sprintf("%+v", listed), fmt.Sprintf("%+v", n); got != want {
			p.t.Errorf("Names and History differ:\n%s\n%s", got, want)
		}
		break
	}
	return n
}

// want checks how much is seen of a name, and that the oldest version has the bytes.
func (p *past) want(name string, versions, markers int, hidden bool, oldest []byte) providers.Name {
	p.t.Helper()
	n := p.history(name)
	if n.Versions != versions || n.Markers != markers || n.Hidden != hidden || len(n.Oldest) != versions+markers {
		p.t.Errorf("%s has %d versions, %d markers, hidden %v, %d in all; want %d, %d, %v", name, n.Versions, n.Markers, n.Hidden, len(n.Oldest), versions, markers, hidden)
	}
	if versions == 0 {
		return n
	}
	if n.Size != int64(len(oldest)) || n.Modified.IsZero() {
		p.t.Errorf("the oldest version of %s is said to have %d bytes of %v, want %d", name, n.Size, n.Modified, len(oldest))
	}
	got, err := p.bucket.ReadVersion(p.ctx, name, n.ID, 1<<20)
	if err != nil || !bytes.Equal(got, oldest) {
		p.t.Errorf("the oldest version of %s yields %d bytes, %v; want the %d that were stored first", name, len(got), err, len(oldest))
	}
	return n
}

func testPlain(t *testing.T, p *past) {
	name, b := p.dir+"plain", content(100)
	p.mustCreate(name, b)
	p.mustCreate(name+"-longer", content(1))
	n := p.want(name, 1, 0, false, b)
	if !n.Plain() || !n.Oldest[0].Current || n.Oldest[0].Marker {
		t.Errorf("an object that nobody touched: %+v", n)
	}
	_, err := p.bucket.History(p.ctx, p.dir+"pla")
	p.wantKind("History of a name that only longer ones begin with", err, providers.NotFound)
}

func testOverwritten(t *testing.T, p *past) {
	name, first := p.dir+"overwritten", content(100)
	p.mustCreate(name, first)
	var last []byte
	for i := range 3 {
		last = content(100 + i)
		p.tamper.Overwrite(t, name, last)
	}
	n := p.want(name, 4, 0, true, first)
	p.mustHold(name, last)
	for i, v := range n.Oldest {
		if v.Current != (i == 3) || v.Marker || v.ID == "" {
			t.Errorf("version %d of 4: %+v", i, v)
		}
	}
}

func testHidden(t *testing.T, p *past) {
	name, first := p.dir+"hidden", content(100)
	p.mustCreate(name, first)
	p.tamper.Hide(t, name)
	p.mustBeAbsent(name)
	markers := 0
	if p.tamper.Markers {
		markers = 1
	}
	n := p.want(name, 1, markers, true, first)
	if n.Plain() {
		t.Errorf("a hidden object seems untouched: %+v", n)
	}
	if p.tamper.Markers && (!n.Oldest[1].Marker || !n.Oldest[1].Current) {
		t.Errorf("the marker over an object: %+v", n.Oldest[1])
	}
	p.tamper.Overwrite(t, name, content(5))
	p.want(name, 2, markers, true, first)
}

func testOnlyMarkers(t *testing.T, p *past) {
	if !p.tamper.Markers {
		t.Skip("the store has no markers")
	}
	name := p.dir + "never"
	p.tamper.Hide(t, name)
	p.mustCreate(p.dir+"other", content(1))
	page, _, _, err := p.historian.Versions(p.ctx, name, providers.Mark{}, 10)
	if err != nil {
		t.Fatal(err)
	}
	if len(page) == 0 {
		t.Skip("the store lays no marker where nothing is")
	}
	if n := p.want(name, 0, 1, true, nil); n.ID != "" || n.Size != 0 {
		t.Errorf("a marker alone: %+v", n)
	}
}

// testCreateBeneath has a create meet its own bytes beneath what a thief laid over them.
func testCreateBeneath(t *testing.T, p *past) {
	for what, cover := range map[string]func(name string){
		"overwritten": func(name string) { p.tamper.Overwrite(t, name, content(100)) },
		"shortened":   func(name string) { p.tamper.Overwrite(t, name, content(7)) },
	} {
		name, b := p.dir+"beneath-"+what, content(100)
		p.mustCreate(name, b)
		cover(name)
		if _, existed, err := p.create(name, b); err != nil || !existed {
			t.Errorf("%s: a create of what lies beneath: existed %v, %v", what, existed, err)
		}
		_, _, err := p.create(name, content(100))
		p.wantKind(what+": a create of what is not there", err, providers.Exists)
		p.want(name, 2, 0, true, b)
	}
	// Some stores see the name as free then, and others do not: both ends with our bytes stored.
	name, b := p.dir+"beneath-marker", content(100)
	p.mustCreate(name, b)
	p.tamper.Hide(t, name)
	if _, _, err := p.create(name, b); err != nil {
		t.Errorf("a create beneath what hides it: %v", err)
	}
	n := p.history(name)
	if got, err := p.bucket.ReadVersion(p.ctx, name, n.ID, 1000); err != nil || !bytes.Equal(got, b) {
		t.Errorf("what a create beneath what hides it left: %d bytes, %v", len(got), err)
	}
}

func (p *past) create(name string, b []byte) (providers.Info, bool, error) {
	return p.bucket.Create(p.ctx, name, body(b), sha256.Sum256(b))
}

func testVersionRanges(t *testing.T, p *past) {
	name, b := p.dir+"ranges", content(1000)
	p.mustCreate(name, b)
	p.tamper.Overwrite(t, name, content(300))
	id := p.want(name, 2, 0, true, b).ID
	for _, tt := range []struct {
		off, n   int64
		from, to int
	}{{0, -1, 0, 1000}, {0, 1, 0, 1}, {999, 1, 999, 1000}, {500, -1, 500, 1000}, {990, 100, 990, 1000}, {1000, 1, 0, 0}, {5000, -1, 0, 0}, {17, 0, 0, 0}} {
		got, err := p.readVersion(name, id, tt.off, tt.n)
		if err != nil || !bytes.Equal(got, b[tt.from:tt.to]) {
			t.Errorf("range (%d, %d): %d bytes, %v; want bytes %d to %d", tt.off, tt.n, len(got), err, tt.from, tt.to)
		}
	}
	dst := make([]byte, 700)
	if n, err := p.bucket.ReadVersionRange(p.ctx, name, id, 300, dst); n != 700 || err != nil || !bytes.Equal(dst, b[300:]) {
		t.Errorf("ReadVersionRange: %d bytes, %v", n, err)
	}
	r, err := p.bucket.OpenVersionStream(p.ctx, name, id)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, b) {
		t.Errorf("OpenVersionStream: %d bytes, %v", len(got), err)
	}
}

func (p *past) readVersion(name, id string, off, n int64) ([]byte, error) {
	r, err := p.historian.OpenVersion(p.ctx, name, id, off, n)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(r)
	return b, errors.Join(err, r.Close())
}

// testNoSuchVersion reads a version that another name has, and a marker.
func testNoSuchVersion(t *testing.T, p *past) {
	name, other := p.dir+"one", p.dir+"two"
	p.mustCreate(name, content(10))
	p.mustCreate(other, content(10))
	id := p.history(other).ID
	if id == p.history(name).ID {
		t.Fatalf("two versions have the id %q", id)
	}
	for _, n := range []int64{-1, 0, 5} {
		_, err := p.readVersion(name, id, 0, n)
		p.wantKind("a read of another name's version", err, providers.NotFound)
	}
	if !p.tamper.Markers {
		return
	}
	p.tamper.Hide(t, name)
	for _, v := range p.history(name).Oldest {
		if v.Marker {
			_, err := p.readVersion(name, v.ID, 0, -1)
			p.wantKind("a read of a marker", err, providers.NotFound)
		}
	}
}

// testVersionPages makes a small thicket and holds that every way to page through it shows the same.
func testVersionPages(t *testing.T, p *past) {
	var names []string
	for i := range 6 {
		name := fmt.Sprintf("%spage%d/%d", p.dir, i/3, i)
		names = append(names, name)
		p.mustCreate(name, content(10+i))
		for j := range []int{0, 1, 5, 0, 3, 2}[i] {
			if j%2 == 1 {
				p.tamper.Hide(t, name)
			} else {
				p.tamper.Overwrite(t, name, content(20+i))
			}
		}
	}
	whole := p.page(p.dir, "", 1000)
	if got := slices.Compact(namesOf(whole)); !slices.Equal(got, names) {
		t.Fatalf("names are %q, want %q", got, names)
	}
	for _, size := range p.tamper.Pages {
		for _, prefix := range []string{p.dir, p.dir + "page1", names[2]} {
			for _, after := range []string{"", names[0], names[2], names[2] + "0", names[5], "zzz"} {
				var want []providers.Version
				for _, v := range whole {
					if strings.HasPrefix(v.Name, prefix) && v.Name > after {
						want = append(want, v)
					}
				}
				if got := p.page(prefix, after, size); p.inOrder(got) != p.inOrder(want) {
					t.Errorf("versions of %q behind %q in pages of %d:\n%s\nwant\n%s", prefix, after, size, short(got), short(want))
				}
			}
		}
	}
	for i, name := range names {
		n := p.history(name)
		if n.Size != int64(10+i) {
			t.Errorf("the oldest version of %s has %d bytes, want %d", name, n.Size, 10+i)
		}
	}
}

// inOrder is the versions as they came, or sorted where the store does not know their order.
func (p *past) inOrder(all []providers.Version) string {
	if p.tamper.Coarse {
		all = slices.SortedFunc(slices.Values(all), func(a, b providers.Version) int {
			return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
		})
	}
	return fmt.Sprintf("%+v", all)
}

// page returns all versions in pages of about so many.
func (p *past) page(prefix, after string, size int) (all []providers.Version) {
	p.t.Helper()
	mark := providers.Mark{Name: after}
	for range 1000 {
		page, next, more, err := p.historian.Versions(p.ctx, prefix, mark, size)
		if err != nil {
			p.t.Fatalf("Versions of %q behind %+v: %v", prefix, mark, err)
		}
		all = append(all, page...)
		if !more {
			return all
		}
		mark = next
	}
	p.t.Fatalf("Versions of %q: 1000 pages and still more", prefix)
	return nil
}

func namesOf(all []providers.Version) (names []string) {
	for _, v := range all {
		names = append(names, v.Name)
	}
	return names
}

func short(all []providers.Version) string {
	var b strings.Builder
	for _, v := range all {
		fmt.Fprintf(&b, "%s %s %d marker=%v current=%v\n", v.Name, v.ID, v.Size, v.Marker, v.Current)
	}
	return b.String()
}

func testVersionsCancelled(t *testing.T, p *past) {
	name := p.dir + "there"
	p.mustCreate(name, content(10))
	id := p.history(name).ID
	ctx, cancel := context.WithCancel(p.ctx)
	cancel()
	_, _, _, listErr := p.historian.Versions(ctx, p.dir, providers.Mark{}, 10)
	_, openErr := p.historian.OpenVersion(ctx, name, id, 0, -1)
	for what, err := range map[string]error{"Versions": listErr, "OpenVersion": openErr} {
		if !errors.Is(err, context.Canceled) || providers.Retryable(err) {
			t.Errorf("%s under a cancelled context: %v; want a lasting error around context.Canceled", what, err)
		}
	}
}
