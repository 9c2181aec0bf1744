package setup

import (
	"os"
	"strings"
	"testing"

	"farshore/systemd"
)

// TestBinary holds whose program is replaced and removed.
func TestBinary(t *testing.T) {
	t.Run("another's is refused", func(t *testing.T) {
		m, o := testMachine(t)
		m.write(t, localBinary, "another")
		if _, err := Install(t.Context(), m, o, false); err == nil || !strings.Contains(err.Error(), "--force") || m.read(t, localBinary) != "another" {
			t.Errorf("%v", err)
		}
		if got := of(t, uninstall(t, m, o, false), localBinary); got.State != Unchanged || !m.there(t, localBinary) {
			t.Errorf("%+v", got)
		}
		o.Force = true
		install(t, m, o, false)
		if m.read(t, localBinary) != "the program" {
			t.Error("it was not replaced")
		}
	})
	t.Run("the same one that somebody put there stays", func(t *testing.T) {
		m, o := testMachine(t)
		m.write(t, localBinary, "the program")
		install(t, m, o, false)
		uninstall(t, m, o, false)
		if !m.there(t, localBinary) {
			t.Error("it was removed")
		}
	})
	t.Run("ours is replaced by a newer one", func(t *testing.T) {
		m, o := testMachine(t)
		install(t, m, o, false)
		if err := os.WriteFile(o.Self, []byte("newer"), 0o755); err != nil {
			t.Fatal(err)
		}
		if got := of(t, install(t, m, o, false), localBinary); got.State != Changed || m.read(t, localBinary) != "newer" {
			t.Errorf("%+v", got)
		}
		if sums, err := (binary{m, o}).recorded(); err != nil || len(sums) != 1 {
			t.Errorf("recorded %v, %v", sums, err)
		}
	})
	t.Run("cut short between record and program", func(t *testing.T) {
		m, o := testMachine(t)
		install(t, m, o, false)
		b := binary{m, o}
		old, err := b.recorded()
		if err != nil {
			t.Fatal(err)
		}
		if err := b.record("0123", old[0]); err != nil {
			t.Fatal(err)
		}
		if got := of(t, install(t, m, o, false), localBinary); got.State != Changed {
			t.Errorf("%+v", got)
		}
		if got := of(t, uninstall(t, m, o, false), localBinary); got.State != Removed || m.there(t, recordDir) {
			t.Errorf("%+v", got)
		}
	})
	t.Run("the record comes before the program", func(t *testing.T) {
		m, o := testMachine(t)
		m.write(t, "/usr/local/x", "")
		if err := os.Symlink("nowhere", m.path("/usr/local/bin")); err != nil {
			t.Fatal(err)
		}
		if err := (binary{m, o}).put(); err == nil {
			t.Fatal("a program was put nowhere")
		}
		if sums, err := (binary{m, o}).recorded(); err != nil || len(sums) != 1 {
			t.Errorf("recorded %v, %v", sums, err)
		}
	})
	t.Run("ours that somebody changed is kept", func(t *testing.T) {
		m, o := testMachine(t)
		install(t, m, o, false)
		m.write(t, localBinary, "changed")
		if got := of(t, uninstall(t, m, o, false), localBinary); got.State != WasKept || !m.there(t, localBinary) {
			t.Errorf("%+v", got)
		}
		o.Force = true
		if got := of(t, uninstall(t, m, o, false), localBinary); got.State != Removed || m.there(t, localBinary) {
			t.Errorf("%+v", got)
		}
	})
	t.Run("the other role still needs it", func(t *testing.T) {
		m, o := testMachine(t)
		install(t, m, o, false)
		v := o
		v.Role = systemd.Verifier
		install(t, m, v, false)
		uninstall(t, m, o, false)
		if !m.there(t, localBinary) || !m.there(t, unitDir+"/farshore-verify.timer") {
			t.Error("the verifier was hit")
		}
		uninstall(t, m, v, false)
		if m.there(t, localBinary) {
			t.Error("the last one left the program")
		}
	})
}

// TestPackaged holds that nothing of a package's is doubled or removed, and that what an earlier installation left over it goes.
func TestPackaged(t *testing.T) {
	m, o := testMachine(t)
	install(t, m, o, false)
	m.write(t, "/usr/lib/systemd/system/farshore.service", "the package's")
	m.write(t, "/etc/farshore/credentials/aws", "secret")
	o.Self = systemd.PackagedBinary
	install(t, m, o, false)
	if m.there(t, unitDir+"/farshore.service") || m.there(t, "/etc/tmpfiles.d/farshore.conf") || !m.there(t, unitDir+"/farshore.service.d/credentials.conf") {
		t.Error(m.tree(t))
	}
	if again := install(t, m, o, false); !all(again, Unchanged) {
		t.Error(states(again))
	}
	uninstall(t, m, o, false)
	if m.there(t, unitDir+"/farshore.service.d") || m.read(t, "/usr/lib/systemd/system/farshore.service") != "the package's" || m.there(t, localBinary) {
		t.Error(m.tree(t))
	}
	if ok, err := Packaged(m, o.Role); err != nil || !ok {
		t.Errorf("%v, %v", ok, err)
	}
}
