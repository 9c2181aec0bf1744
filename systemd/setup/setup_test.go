package setup

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"farshore/systemd"
)

// testMachine is a folder that stands for a machine, with the users that systemd-sysusers would make there, and a program to install.
func testMachine(t *testing.T) (*Machine, Options) {
	t.Helper()
	m := &Machine{Root: t.TempDir()}
	m.write(t, "/etc/passwd", "root:x:0:0::/root:/bin/sh\nfarshore:x:61234:61235::/:/bin/false\nfarshore-verify:x:61236:61237::/:/bin/false\n")
	m.write(t, "/etc/group", "root:x:0:\nfarshore:x:61235:\nfarshore-verify:x:61237:\ngit:x:61238:\n")
	self := filepath.Join(t.TempDir(), "farshore")
	if err := os.WriteFile(self, []byte("the program"), 0o755); err != nil {
		t.Fatal(err)
	}
	return m, Options{Role: systemd.Agent, Self: self}
}

func (m *Machine) write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(m.path(filepath.Dir(path)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(m.path(path), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (m *Machine) read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(m.path(path))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func (m *Machine) there(t *testing.T, path string) bool {
	t.Helper()
	ok, err := m.exists(path)
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

// tree lists everything below the root with its mode, and what files hold.
func (m *Machine) tree(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(m.Root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%s %s", info.Mode(), strings.TrimPrefix(path, m.Root))
		if info.Mode().IsRegular() {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, " %q", data)
		}
		b.WriteString("\n")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// states are what came of a run, one line a step.
func states(out []Outcome) string {
	var b strings.Builder
	for _, o := range out {
		fmt.Fprintf(&b, "%s: %s\n", o.State, o.What)
	}
	return b.String()
}

func install(t *testing.T, m *Machine, o Options, dry bool) []Outcome {
	t.Helper()
	out, err := Install(t.Context(), m, o, dry)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func uninstall(t *testing.T, m *Machine, o Options, dry bool) []Outcome {
	t.Helper()
	out, err := Uninstall(t.Context(), m, o, dry)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// all reports whether every step has the state.
func all(out []Outcome, state string) bool {
	return !slices.ContainsFunc(out, func(o Outcome) bool { return o.State != state })
}

// of is what came of the step of that name.
func of(t *testing.T, out []Outcome, what string) Outcome {
	t.Helper()
	i := slices.IndexFunc(out, func(o Outcome) bool { return o.What == what })
	if i < 0 {
		t.Fatalf("no step %s in\n%s", what, states(out))
	}
	return out[i]
}

// TestInstall holds a dry run to change nothing, a run to do all, and another to change nothing again.
func TestInstall(t *testing.T) {
	for _, role := range []systemd.Role{systemd.Agent, systemd.Verifier} {
		t.Run(string(role), func(t *testing.T) {
			m, o := testMachine(t)
			o.Role = role
			before := m.tree(t)
			dry := install(t, m, o, true)
			if got := m.tree(t); got != before {
				t.Errorf("a dry run changed something:\n%s", got)
			}
			done := install(t, m, o, false)
			if got, want := strings.ReplaceAll(states(dry), WouldDo, Changed), states(done); got != want {
				t.Errorf("a dry run said\n%s\nand this was done\n%s", got, want)
			}
			after := m.tree(t)
			if again := install(t, m, o, false); !all(again, Unchanged) || m.tree(t) != after {
				t.Errorf("a second run:\n%s", states(again))
			}
			for path, mode := range map[string]fs.FileMode{
				localBinary: 0o755, ConfigPath(role)[:len(ConfigPath(role))-len("/farshore.yaml")]: fs.ModeDir | 0o750,
				"/etc/" + string(role) + "/keys": fs.ModeDir | 0o700, "/etc/" + string(role) + "/credentials": fs.ModeDir | 0o700,
				unitDir + "/" + role.Units()[0]: 0o644, "/etc/tmpfiles.d/" + string(role) + ".conf": 0o644, "/etc/sysusers.d/" + string(role) + ".conf": 0o644,
			} {
				if info, err := os.Lstat(m.path(path)); err != nil || info.Mode() != mode {
					t.Errorf("%s: %v, %v", path, info, err)
				}
			}
			if got := m.read(t, localBinary); got != "the program" {
				t.Errorf("the program is %q", got)
			}
			if got := m.read(t, unitDir+"/"+role.Units()[0]); !strings.Contains(got, "=/usr/local/bin/farshore ") {
				t.Errorf("the unit runs another program:\n%s", got)
			}
		})
	}
}

// TestDryRunGolden holds what a first dry run says.
func TestDryRunGolden(t *testing.T) {
	m, o := testMachine(t)
	m.write(t, "/etc/farshore/credentials/aws", "secret")
	const want = `would be done: /usr/local/bin/farshore
would be done: /etc/sysusers.d/farshore.conf
would be done: /etc/tmpfiles.d/farshore.conf
would be done: /etc/farshore (root:farshore, 0750)
would be done: /etc/farshore/keys (root:root, 0700)
would be done: /etc/farshore/credentials (root:root, 0700)
would be done: /etc/farshore/credentials/aws (root:root, 0600)
unchanged: /var/lib/farshore (all of it farshore's)
would be done: /etc/systemd/system/farshore.service
would be done: /etc/systemd/system/farshore-alert@.service
would be done: /etc/systemd/system/farshore.service.d/credentials.conf
unchanged: /etc/systemd/system/farshore-alert@.service.d/credentials.conf
`
	if got := states(install(t, m, o, true)); got != want {
		t.Errorf("got\n%s", got)
	}
}

// TestCutShort cuts an installation and its undoing short behind every step: another run finishes both.
func TestCutShort(t *testing.T) {
	m, o := testMachine(t)
	m.write(t, "/etc/farshore/credentials/aws", "secret")
	o.Asked = &Paths{Read: []string{"/srv/git"}}
	install(t, m, o, false)
	whole := m.tree(t)
	steps, err := plan(t.Context(), m, o)
	if err != nil {
		t.Fatal(err)
	}
	for k := range steps {
		m, fresh := testMachine(t)
		m.write(t, "/etc/farshore/credentials/aws", "secret")
		fresh.Asked = o.Asked
		some, err := plan(t.Context(), m, fresh)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range some[:k] {
			if s.Do != nil {
				if _, err := take(t.Context(), Outcome{}, s.Done, s.Do, false); err != nil {
					t.Fatal(err)
				}
			}
		}
		install(t, m, fresh, false)
		if got := m.tree(t); got != whole {
			t.Fatalf("cut short before %s:\n%s\nwhole:\n%s", some[k].What, got, whole)
		}
		back, err := plan(t.Context(), m, Options{Role: o.Role, Self: fresh.Self, removing: true})
		if err != nil {
			t.Fatal(err)
		}
		for i := len(back) - 1; i > k; i-- {
			if back[i].Undo != nil {
				if _, err := take(t.Context(), Outcome{}, back[i].Gone, back[i].Undo, false); err != nil {
					t.Fatal(err)
				}
			}
		}
		uninstall(t, m, fresh, false)
		if got := m.tree(t); strings.Contains(got, "/etc/systemd/system/") || strings.Contains(got, "/bin/farshore") || strings.Contains(got, "farshore.sha256") {
			t.Fatalf("left behind:\n%s", got)
		}
	}
}

// TestChanged holds what somebody changed to be kept and named, and to be replaced or removed with force alone.
func TestChanged(t *testing.T) {
	const unit = unitDir + "/farshore.service"
	tests := []struct {
		name   string
		change func(t *testing.T, m *Machine)
	}{
		{"a line more", func(t *testing.T, m *Machine) { m.write(t, unit, m.read(t, unit)+"Nice=1\n") }},
		{"a line before the stamp", func(t *testing.T, m *Machine) {
			m.write(t, unit, strings.Replace(m.read(t, unit), "Nice=10\n", "Nice=11\n", 1))
		}},
		{"somebody's own", func(t *testing.T, m *Machine) { m.write(t, unit, "[Service]\nExecStart=/bin/true\n") }},
		{"empty", func(t *testing.T, m *Machine) { m.write(t, unit, "") }},
		{"a link", func(t *testing.T, m *Machine) {
			m.write(t, "/srv/mine", "mine")
			if err := os.Remove(m.path(unit)); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(m.path("/srv/mine"), m.path(unit)); err != nil {
				t.Fatal(err)
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, o := testMachine(t)
			install(t, m, o, false)
			tt.change(t, m)
			changed := m.read(t, unit)
			if got := of(t, install(t, m, o, false), unit); got.State != WasKept || got.Why == "" {
				t.Errorf("install: %+v", got)
			}
			gone := uninstall(t, m, o, false)
			if got := of(t, gone, unit); got.State != WasKept {
				t.Errorf("uninstall: %+v", got)
			}
			if got := of(t, gone, localBinary); got.State != WasKept || !m.there(t, localBinary) {
				t.Errorf("uninstall of what the unit runs: %+v", got)
			}
			if m.read(t, unit) != changed {
				t.Error("it was changed all the same")
			}
			o.Force = true
			if got := of(t, install(t, m, o, false), unit); got.State != Changed {
				t.Errorf("install with force: %+v", got)
			}
			tt.change(t, m)
			if got := of(t, uninstall(t, m, o, false), unit); got.State != Removed || m.there(t, unit) {
				t.Errorf("uninstall with force: %+v", got)
			}
			if m.there(t, "/srv/mine") && m.read(t, "/srv/mine") != "mine" {
				t.Error("a link was followed")
			}
		})
	}
}

// TestUninstall holds what stays and what goes.
func TestUninstall(t *testing.T) {
	tests := []struct {
		name        string
		state, keys bool
	}{{"neither", false, false}, {"state", true, false}, {"keys", false, true}, {"both", true, true}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, o := testMachine(t)
			m.write(t, "/etc/farshore/credentials/aws", "secret")
			m.write(t, "/etc/farshore/farshore.yaml", "vault: file:///v\n")
			m.write(t, "/var/lib/farshore/seen.json", "{}")
			m.write(t, "/srv/mine", "mine")
			m.write(t, unitDir+"/farshore.service.d/override.conf", "[Service]\n")
			if err := os.Symlink(m.path("/srv"), m.path("/var/lib/farshore/link")); err != nil {
				t.Fatal(err)
			}
			o.Asked = &Paths{Groups: []string{"git"}}
			install(t, m, o, false)
			o.RemoveState, o.RemoveKeys = tt.state, tt.keys
			before := m.tree(t)
			dry := uninstall(t, m, o, true)
			if m.tree(t) != before {
				t.Error("a dry run changed something")
			}
			done := uninstall(t, m, o, false)
			if got, want := strings.ReplaceAll(states(dry), WouldRemove, Removed), states(done); got != want {
				t.Errorf("a dry run said\n%s\nand this was done\n%s", got, want)
			}
			if again := uninstall(t, m, o, false); !all(again, Unchanged) {
				t.Errorf("again:\n%s", states(again))
			}
			if m.there(t, "/etc/farshore/farshore.yaml") == tt.keys || m.there(t, "/etc/farshore") == tt.keys || m.there(t, "/var/lib/farshore") == tt.state {
				t.Errorf("what stays:\n%s", m.tree(t))
			}
			if !m.there(t, "/srv/mine") {
				t.Error("a link was followed")
			}
			for _, gone := range []string{localBinary, recordDir, unitDir + "/farshore.service", unitDir + "/farshore.service.d/paths.conf", "/etc/sysusers.d/farshore.conf"} {
				if m.there(t, gone) {
					t.Errorf("%s is there", gone)
				}
			}
			left, err := Leftovers(m, o.Role)
			if err != nil || !slices.Equal(left, []string{unitDir + "/farshore.service.d/override.conf"}) {
				t.Errorf("leftovers %v, %v", left, err)
			}
		})
	}
}

// TestUninstallLinks holds links in the place of folders to be kept, with all that they lead to.
func TestUninstallLinks(t *testing.T) {
	m, o := testMachine(t)
	m.write(t, "/data/state/x", "x")
	if err := os.MkdirAll(m.path("/var/lib"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(m.path("/data/state"), m.path("/var/lib/farshore")); err != nil {
		t.Fatal(err)
	}
	install(t, m, o, false)
	o.RemoveState, o.Force = true, true
	if got := of(t, uninstall(t, m, o, false), "/var/lib/farshore (all of it farshore's)"); got.State != WasKept || !m.there(t, "/data/state/x") || !m.there(t, "/var/lib/farshore") {
		t.Errorf("%+v", got)
	}
}

// TestCheck holds who may install.
func TestCheck(t *testing.T) {
	if err := (&Machine{Root: t.TempDir()}).Check(); err != nil {
		t.Error(err)
	}
	err := new(Machine).Check()
	if os.Geteuid() != 0 && (err == nil || !strings.Contains(err.Error(), "root")) {
		t.Errorf("%v", err)
	}
}

// TestStops holds a run to end where its context does.
func TestStops(t *testing.T) {
	if _, err := run(canceled(t), patience, "sleep", "60"); err == nil {
		t.Error("it ran")
	}
}

func canceled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
