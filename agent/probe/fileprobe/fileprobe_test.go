package fileprobe

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"farshore/agent/probe"
	"farshore/agent/probe/probetest"
	"farshore/providers"
	"farshore/providers/file"
)

// vault makes a directory with objects in every room, and the attacker for it.
func vault(t *testing.T) (context.Context, string, *Attacker) {
	t.Helper()
	dir := t.TempDir()
	address := "file://" + (&url.URL{Path: dir}).EscapedPath()
	d, err := file.Open(address)
	if err != nil {
		t.Fatal(err)
	}
	for name, body := range probetest.Vault() {
		section := io.NewSectionReader(bytes.NewReader(body), 0, int64(len(body)))
		if _, err := d.Create(t.Context(), name, section, sha256.Sum256(body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	a, err := New(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	return ctx, dir, a
}

// files reads all regular files below the directory.
func files(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	found := map[string][]byte{}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		name, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		found[filepath.ToSlash(name)], err = os.ReadFile(p)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestOwner has the user whose directory it is try: all is permitted, and nothing but canaries has changed.
func TestOwner(t *testing.T) {
	ctx, dir, a := vault(t)
	before := files(t, dir)
	attempts := probetest.Drive(ctx, t, a, probetest.Rooms()...)
	probetest.Answers(t, attempts, map[string]probe.Answer{
		"create": probe.Permitted, "chmod": probe.Permitted, "append": probe.Permitted, "overwrite": probe.Permitted,
		"replace": probe.Permitted, "rename": probe.Permitted, "remove": probe.Permitted, "other folders": probe.Unknown,
	})
	r, err := probe.Run(ctx, providers.New(a.driver, providers.Options{}), a, probe.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if r.Verdict != probe.Unprotected || !slices.Equal(r.Grants, []string{grantOwner, grantWrite, grantFolder}) {
		t.Errorf("%s, to take away %q: %s", r.Verdict, r.Grants, r.Words)
	}
	probetest.Same(t, before, files(t, dir))
	if who, err := a.Principal(ctx); err != nil || !strings.HasPrefix(who, "uid ") {
		t.Errorf("principal %q, %v", who, err)
	}
	if notes := strings.Join(a.Notes(), "\n"); !strings.Contains(notes, "whoever runs as this user") {
		t.Errorf("notes: %s", notes)
	}
}

// TestRefuses holds that no other name than a canary's is used.
func TestRefuses(t *testing.T) {
	ctx, dir, a := vault(t)
	before := files(t, dir)
	probetest.Refuses(ctx, t, a)
	probetest.Same(t, before, files(t, dir))
}

// TestReadOnly has no right to write in the directory: everything that can be tried on a name that nothing has is denied.
func TestReadOnly(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("modes don't count for root")
	}
	ctx, dir, a := vault(t)
	for _, room := range probetest.Rooms() {
		if err := os.Mkdir(filepath.Join(dir, room, "canary"), 0o500); err != nil {
			t.Fatal(err)
		}
	}
	for _, at := range probetest.Drive(ctx, t, a, probetest.Rooms()...) {
		switch at.Probe {
		case "create", "append", "overwrite":
			if at.Answer != probe.Denied {
				t.Errorf("%s: %s (%s: %s)", at.Probe, at.Answer, at.Code, at.Text)
			}
		default:
			if at.Answer == probe.Permitted {
				t.Errorf("%s was permitted", at.Probe)
			}
		}
	}
}

// TestFrozen freezes a canary as an administrator can: even root is denied, and the canary keeps its bytes.
func TestFrozen(t *testing.T) {
	tests := []struct {
		attribute string
		want      map[string]probe.Answer
	}{
		{"i", map[string]probe.Answer{"chmod": probe.Denied, "append": probe.Denied, "overwrite": probe.Denied, "replace": probe.Denied, "rename": probe.Denied, "remove": probe.Denied}},
		{"a", map[string]probe.Answer{"chmod": probe.Denied, "append": probe.Permitted, "overwrite": probe.Denied, "replace": probe.Denied, "rename": probe.Denied, "remove": probe.Denied}},
	}
	for _, test := range tests {
		t.Run(test.attribute, func(t *testing.T) {
			ctx, dir, a := vault(t)
			name := "packs/canary/frozen"
			if _, r := a.Create(ctx, name, []byte("as it was")); r.Answer != probe.Permitted {
				t.Fatal(r)
			}
			freeze(t, filepath.Join(dir, name), test.attribute)
			for _, p := range a.Object() {
				if r := p.Try(ctx, probe.Canary{Name: name, Exists: true}); r.Answer != test.want[p.Probe] {
					t.Errorf("%s: %s (%s: %s), want %s", p.Probe, r.Answer, r.Code, r.Text, test.want[p.Probe])
				}
			}
			if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !strings.HasPrefix(string(got), "as it was") {
				t.Errorf("the canary has %q, %v", got, err)
			}
		})
	}
}

// freeze sets an attribute for the test's duration.
func freeze(t *testing.T, file, attribute string) {
	t.Helper()
	if out, err := exec.Command("chattr", "+"+attribute, file).CombinedOutput(); err != nil {
		t.Skipf("attributes can't be set here (root and a file system that has them are needed): %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("chattr", "-"+attribute, file).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
}

// TestTraps lays what could lead from a canary's name to an object: the object must stay as it is.
func TestTraps(t *testing.T) {
	const name = "packs/canary/trap"
	pack := "packs/ab/" + strings.Repeat("ab", 32)
	tests := map[string]func(dir string) error{
		"a link to an object": func(dir string) error { return os.Symlink("../ab/"+filepath.Base(pack), filepath.Join(dir, name)) },
		"a link to outside": func(dir string) error {
			return os.Symlink(filepath.Join(dir, "..", "outside"), filepath.Join(dir, name))
		},
		"a second name": func(dir string) error { return os.Link(filepath.Join(dir, pack), filepath.Join(dir, name)) },
		"a linked folder": func(dir string) error {
			if err := os.Remove(filepath.Join(dir, "packs/canary")); err != nil {
				return err
			}
			if err := os.Link(filepath.Join(dir, pack), filepath.Join(dir, "packs/ab/trap")); err != nil {
				return err
			}
			return os.Symlink("ab", filepath.Join(dir, "packs/canary"))
		},
		"a folder": func(dir string) error { return os.Mkdir(filepath.Join(dir, name), 0o700) },
	}
	for what, lay := range tests {
		t.Run(what, func(t *testing.T) {
			ctx, dir, a := vault(t)
			outside := filepath.Join(dir, "..", "outside")
			if err := os.WriteFile(outside, []byte("outside"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Mkdir(filepath.Join(dir, "packs/canary"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := lay(dir); err != nil {
				t.Fatal(err)
			}
			before := files(t, dir)
			for _, p := range a.Object() {
				if r := p.Try(ctx, probe.Canary{Name: name, Exists: true}); r.Answer != probe.Unknown {
					t.Errorf("%s: %s (%s: %s)", p.Probe, r.Answer, r.Code, r.Text)
				}
			}
			probetest.Same(t, before, files(t, dir))
			if b, err := os.ReadFile(outside); err != nil || string(b) != "outside" {
				t.Errorf("outside: %q, %v", b, err)
			}
		})
	}
}

// TestEnded holds that nothing is tried after the deadline.
func TestEnded(t *testing.T) {
	ctx, _, a := vault(t)
	if _, r := a.Create(ctx, "packs/canary/late", []byte("x")); r.Answer != probe.Permitted {
		t.Fatal(r)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	for _, p := range a.Object() {
		if r := p.Try(ended, probe.Canary{Name: "packs/canary/late", Exists: true}); r.Answer != probe.Unknown {
			t.Errorf("%s: %s", p.Probe, r.Answer)
		}
	}
}

// TestNew refuses what is no vault's directory.
func TestNew(t *testing.T) {
	for _, address := range []string{"file:///no/such/directory", "s3://bucket", "file://host/x"} {
		if _, err := New(address); err == nil {
			t.Errorf("%s was opened", address)
		}
	}
}
