package setup

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
)

// TestPaths holds what is laid over a unit for paths and groups.
func TestPaths(t *testing.T) {
	tests := []struct {
		name  string
		paths Paths
		want  string
	}{
		{"nothing", Paths{}, ""},
		{"elsewhere", Paths{Read: []string{"/srv/git"}, Write: []string{"/srv/vault"}}, "[Service]\nReadOnlyPaths=-/srv/git\nReadWritePaths=-/srv/vault\n"},
		{"in a home", Paths{Read: []string{"/home/git/a b"}}, "[Service]\nBindReadOnlyPaths=\"-/home/git/a b\"\n# All homes stay hidden, but for what is bound above.\nProtectHome=tmpfs\n"},
		{"elsewhere behind a home", Paths{Read: []string{"/home/git", "/srv/git"}}, "[Service]\nBindReadOnlyPaths=-/home/git\nReadOnlyPaths=-/srv/git\n# All homes stay hidden, but for what is bound above.\nProtectHome=tmpfs\n"},
		{"a vault in a home", Paths{Write: []string{"/root/vault"}}, "[Service]\nBindPaths=-/root/vault\n# All homes stay hidden, but for what is bound above.\nProtectHome=tmpfs\n"},
		{"a percent sign", Paths{Read: []string{"/srv/%n"}}, "[Service]\nReadOnlyPaths=-/srv/%%n\n"},
		{"groups", Paths{Groups: []string{"git", "svn"}}, "[Service]\nSupplementaryGroups=git\nSupplementaryGroups=svn\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.paths.Check(); err != nil {
				t.Error(err)
			}
			want := tt.want
			if want != "" {
				want = "# why\n" + want
			}
			if got := tt.paths.dropIn("why"); got != want {
				t.Errorf("got\n%s", got)
			}
		})
	}
	for _, bad := range []string{"", "srv", "/", "/home", "/root", "/srv/../etc", "/srv/", "/srv/a\nExecStart=/bin/sh", "/srv/\"x", "/srv/a:b", `/srv/\x`, "/srv/\xff"} {
		if (&Paths{Read: []string{bad}}).Check() == nil || (&Paths{Write: []string{bad}}).Check() == nil {
			t.Errorf("the path %q was taken", bad)
		}
	}
	for _, bad := range []string{"", "a b", "a\nb", "%g", "-g"} {
		if (&Paths{Groups: []string{bad}}).Check() == nil {
			t.Errorf("the group %q was taken", bad)
		}
	}
}

// TestAskedOnce holds that what was asked for stays until something else is asked for.
func TestAskedOnce(t *testing.T) {
	const path = unitDir + "/farshore.service.d/paths.conf"
	m, o := testMachine(t)
	o.Asked = &Paths{Read: []string{"/srv/git"}}
	install(t, m, o, false)
	o.Asked = nil
	if out := install(t, m, o, false); !all(out, Unchanged) || !strings.Contains(m.read(t, path), "/srv/git") {
		t.Error(states(out))
	}
	o.Asked = &Paths{Groups: []string{"git"}}
	install(t, m, o, false)
	if got := m.read(t, path); strings.Contains(got, "/srv/git") || !strings.Contains(got, "SupplementaryGroups=git") {
		t.Error(got)
	}
	o.Asked = &Paths{}
	install(t, m, o, false)
	if m.there(t, path) || m.there(t, unitDir+"/farshore.service.d") {
		t.Error("nothing was asked for, and something is there")
	}
}

// TestCredentials holds which files are handed to which unit, and under which names.
func TestCredentials(t *testing.T) {
	const dir, service, alert = "/etc/farshore/credentials/", unitDir + "/farshore.service.d/credentials.conf", unitDir + "/farshore-alert@.service.d/credentials.conf"
	m, o := testMachine(t)
	for _, name := range []string{"aws", "aws-config", "gcp.json", "rclone.conf.cred", "web.token", "ops.url", ".hidden", "agent.key.cred"} {
		m.write(t, dir+name, "secret")
	}
	install(t, m, o, false)
	const want = `[Service]
LoadCredentialEncrypted=agent.key:/etc/farshore/credentials/agent.key.cred
LoadCredential=aws:/etc/farshore/credentials/aws
Environment=AWS_SHARED_CREDENTIALS_FILE=%d/aws
LoadCredential=aws-config:/etc/farshore/credentials/aws-config
Environment=AWS_CONFIG_FILE=%d/aws-config
LoadCredential=gcp.json:/etc/farshore/credentials/gcp.json
Environment=GOOGLE_APPLICATION_CREDENTIALS=%d/gcp.json
LoadCredential=ops.url:/etc/farshore/credentials/ops.url
LoadCredentialEncrypted=rclone.conf:/etc/farshore/credentials/rclone.conf.cred
Environment=RCLONE_CONFIG=%d/rclone.conf
LoadCredential=web.token:/etc/farshore/credentials/web.token
`
	if got := m.read(t, service); !strings.Contains(got, want) {
		t.Errorf("got\n%s", got)
	}
	if got := m.read(t, alert); strings.Count(got, "LoadCredential") != 1 || !strings.Contains(got, "ops.url") {
		t.Errorf("the alert has\n%s", got)
	}
	if err := os.Remove(m.path(dir + "aws")); err != nil {
		t.Fatal(err)
	}
	install(t, m, o, false)
	if got := m.read(t, service); strings.Contains(got, "AWS_SHARED") {
		t.Errorf("one that is gone is there:\n%s", got)
	}
	if info, err := os.Stat(m.path(dir + "web.token")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	for name, make := range map[string]func() error{
		"web.token.cred": func() error { return os.WriteFile(m.path(dir+"web.token.cred"), nil, 0o600) },
		"a b":            func() error { return os.WriteFile(m.path(dir+"a b"), nil, 0o600) },
		"a\nb":           func() error { return os.WriteFile(m.path(dir+"a\nb"), nil, 0o600) },
		"a:b":            func() error { return os.WriteFile(m.path(dir+"a:b"), nil, 0o600) },
		"folder":         func() error { return os.Mkdir(m.path(dir+"folder"), 0o700) },
		"link":           func() error { return os.Symlink("/etc/shadow", m.path(dir+"link")) },
	} {
		if err := make(); err != nil {
			t.Fatal(err)
		}
		if _, err := Install(t.Context(), m, o, false); err == nil {
			t.Errorf("%q was taken", name)
		}
		if _, err := Uninstall(t.Context(), m, o, true); err != nil {
			t.Errorf("%q keeps the service from being removed: %v", name, err)
		}
		if err := os.Remove(m.path(dir + name)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestState holds what root left in the state to be given to the service's user, and nothing outside of it.
func TestState(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	const state = "/var/lib/farshore (all of it farshore's)"
	owner := func(m *Machine, path string) [2]uint32 {
		t.Helper()
		info, err := os.Lstat(m.path(path))
		if err != nil {
			t.Fatal(err)
		}
		st := info.Sys().(*syscall.Stat_t)
		return [2]uint32{st.Uid, st.Gid}
	}
	m, o := testMachine(t)
	m.write(t, "/var/lib/farshore/sub/x", "x")
	m.write(t, "/srv/mine", "mine")
	if err := os.Symlink(m.path("/srv/mine"), m.path("/var/lib/farshore/link")); err != nil {
		t.Fatal(err)
	}
	if got := of(t, install(t, m, o, false), state); got.State != Changed {
		t.Errorf("%+v", got)
	}
	for _, path := range []string{"", "/sub", "/sub/x", "/link"} {
		if got := owner(m, "/var/lib/farshore"+path); got != [2]uint32{61234, 61235} {
			t.Errorf("%s belongs to %v", path, got)
		}
	}
	if owner(m, "/srv/mine") != [2]uint32{0, 0} {
		t.Error("a link was followed")
	}
	if got := owner(m, "/etc/farshore"); got != [2]uint32{0, 61235} {
		t.Errorf("/etc/farshore belongs to %v", got)
	}
	if err := os.Link(m.path("/srv/mine"), m.path("/var/lib/farshore/hard")); err != nil {
		t.Fatal(err)
	}
	if got := of(t, install(t, m, o, false), state); got.State != WasKept || owner(m, "/srv/mine") != [2]uint32{0, 0} {
		t.Errorf("%+v", got)
	}
}

// TestKeys holds keys to root alone, and the configuration to the service's group.
func TestKeys(t *testing.T) {
	m, o := testMachine(t)
	m.write(t, "/etc/farshore/keys/agent.key", "key")
	m.write(t, "/etc/farshore/farshore.yaml", "vault: x")
	install(t, m, o, false)
	for path, mode := range map[string]os.FileMode{"/etc/farshore/keys/agent.key": 0o600, "/etc/farshore/farshore.yaml": 0o640} {
		if info, err := os.Stat(m.path(path)); err != nil || info.Mode() != mode {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	if err := os.Symlink("/etc/shadow", m.path("/etc/farshore/keys/link")); err != nil {
		t.Fatal(err)
	}
	if got := of(t, install(t, m, o, false), "/etc/farshore/keys/link (root:root, 0600)"); got.State != WasKept {
		t.Errorf("%+v", got)
	}
	m.write(t, "/srv/shadow", "secret")
	if err := errors.Join(os.Chmod(m.path("/srv/shadow"), 0o600), os.Remove(m.path("/etc/farshore/farshore.yaml")), os.Link(m.path("/srv/shadow"), m.path("/etc/farshore/farshore.yaml"))); err != nil {
		t.Fatal(err)
	}
	if got := of(t, install(t, m, o, false), "/etc/farshore/farshore.yaml (root:farshore, 0640)"); got.State != WasKept {
		t.Errorf("%+v", got)
	}
	if info, err := os.Stat(m.path("/srv/shadow")); err != nil || info.Mode() != 0o600 {
		t.Errorf("what a hard link leads to was opened to the group: %v, %v", info.Mode(), err)
	}
}

// FuzzIntact holds a stamp to fit what it was made for, and nothing that differs.
func FuzzIntact(f *testing.F) {
	f.Add([]byte(stamp("[Unit]\n")), byte(3))
	f.Add([]byte(stampPrefix), byte(0))
	f.Add([]byte(stamp(stamp("x"))), byte(9))
	f.Fuzz(func(t *testing.T, data []byte, at byte) {
		whole := []byte(stamp(string(data)))
		if !intact(whole) {
			t.Fatal("its own stamp does not fit")
		}
		whole[int(at)%len(whole)] ^= 1
		if intact(whole) {
			t.Fatal("a changed file is taken for whole")
		}
		intact(data)
	})
}
