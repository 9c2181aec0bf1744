package local

import (
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"farshore/agent/repo/gittest"
	"farshore/agent/repo/refs"
)

// taken is what captures of a repository gave: the last manifest and the chain of packs.
type taken struct {
	m     *refs.Manifest
	packs [][]byte
	// count is the number of objects in the last pack.
	count int64
}

// open opens a repository that must be fit to be captured.
func open(t *testing.T, dir string, o Options) *Repository {
	t.Helper()
	r, err := Open(t.Context(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// take captures the repository on top of before, which may be nil.
func take(t *testing.T, dir string, o Options, before *taken) *taken {
	t.Helper()
	next, err := try(t, dir, o, before)
	if err != nil {
		t.Fatal(err)
	}
	return next
}

func try(t *testing.T, dir string, o Options, before *taken) (*taken, error) {
	r, err := Open(t.Context(), dir, o)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	next := &taken{}
	var haves []string
	if before != nil {
		haves, next.packs = before.m.Tips(), slices.Clone(before.packs)
	}
	if next.m, err = r.Refs(t.Context()); err != nil {
		return nil, err
	}
	p, err := r.Pack(t.Context(), next.m.Tips(), haves, before != nil)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	pack, err := io.ReadAll(p)
	if err != nil {
		return nil, err
	}
	next.packs = append(next.packs, pack)
	next.count, _ = p.(interface{ IDs() (int64, string) }).IDs()
	return next, nil
}

// restore builds a repository of what was taken.
func restore(t *testing.T, c *taken) *gittest.Repo {
	t.Helper()
	r := gittest.New(t, filepath.Join(t.TempDir(), "restored.git"), c.m.Format, true)
	for _, pack := range c.packs {
		r.Input(string(pack), "index-pack", "--stdin", "--fix-thin")
	}
	var in strings.Builder
	for _, ref := range c.m.Refs {
		if ref.Symref == "" {
			fmt.Fprintf(&in, "create %s\x00%s\x00", ref.Name, ref.OID)
		}
	}
	r.Input(in.String(), "update-ref", "--stdin", "-z", "--no-deref")
	for _, ref := range c.m.Refs {
		if ref.Symref != "" {
			r.Run("symbolic-ref", ref.Name, ref.Symref)
		}
	}
	if c.m.HeadOID != "" {
		r.Run("update-ref", "--no-deref", "HEAD", c.m.HeadOID)
	} else {
		r.Run("symbolic-ref", "HEAD", c.m.Head)
	}
	return r
}

// equal compares a restored repository with its source.
func equal(t *testing.T, source, restored *gittest.Repo) {
	t.Helper()
	if a, b := source.Refs(), restored.Refs(); !maps.Equal(a, b) {
		t.Fatalf("refs are\n%v\nrestored they are\n%v", a, b)
	}
	if a, b := source.Objects(), restored.Objects(); !slices.Equal(a, b) {
		t.Fatalf("the source reaches %d objects, the restored repository %d", len(a), len(b))
	}
}

// roundTrip captures on top of before, restores and compares.
func roundTrip(t *testing.T, r *gittest.Repo, before *taken) *taken {
	t.Helper()
	c := take(t, r.Dir, Options{}, before)
	equal(t, r, restore(t, c))
	return c
}

func remove(t *testing.T, name string) {
	t.Helper()
	if err := os.RemoveAll(name); err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func loose(r *gittest.Repo, oid string) string {
	return filepath.Join(r.Dir, "objects", oid[:2], oid[2:])
}

// manifestRefs is a manifest in the form of gittest.Repo.Refs.
func manifestRefs(m *refs.Manifest) map[string]string {
	all := map[string]string{"HEAD": m.HeadOID}
	if m.Head != "" {
		all["HEAD"] = "ref: " + m.Head
	}
	for _, ref := range m.Refs {
		switch {
		case ref.Symref == "":
			all[ref.Name] = ref.OID
		case ref.OID != "": // gittest sees none that dangle
			all[ref.Name] = "ref: " + ref.Symref
		}
	}
	return all
}
