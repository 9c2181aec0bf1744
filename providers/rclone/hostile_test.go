package rclone

import (
	"slices"
	"testing"

	"farshore/providers"
)

// hostile are keys that whoever may create can store beside a vault's objects: some of them decode to others, or to what sorts elsewhere, some are directories'.
var hostile = []string{
	"commits/＼x", "commits/zz．", "commits/zz.", "commits/‛＼x", "commits/‛‛", "commits/␁", "commits/␡", "commits/\ufffd",
	"commits//x", "commits///", "commits/", "commits/d/", "commits/d//", "commits/d/../e", "commits/./x", "commits/ ", "/", "//", "commits/ab/1/", "commits/ab/1//2", "packs\u2028/x",
}

// TestHostileNames holds that no key which a stranger stores keeps anybody from listing the vault's objects.
func TestHostileNames(t *testing.T) {
	f := newFakeB2(t)
	want := []string{"commits/ab/1", "commits/ab/2", "packs/zz/1", "vault/1-a"}
	for _, name := range want {
		f.tamper("v/"+name, "upload", []byte("good"))
	}
	for _, key := range hostile {
		f.tamper("v/"+key, "upload", []byte("junk"))
	}
	ctx, d := open(t, f.spec("v"))
	b := providers.New(d, providers.Options{Attempts: 1})
	for _, prefix := range []string{"", "commits/", "commits/ab/"} {
		var listed, named []string
		for info, err := range b.List(ctx, prefix, "") {
			if err != nil {
				t.Fatalf("list %q: %v", prefix, err)
			}
			listed = append(listed, info.Name)
		}
		for n, err := range b.Names(ctx, prefix, "") {
			if err != nil {
				t.Fatalf("names of %q: %v", prefix, err)
			}
			named = append(named, n.Name)
		}
		for _, name := range want {
			if len(name) < len(prefix) || name[:len(prefix)] != prefix {
				continue
			}
			if !slices.Contains(listed, name) || !slices.Contains(named, name) {
				t.Errorf("%q is missing below %q: %q, %q", name, prefix, listed, named)
			}
		}
	}
}
