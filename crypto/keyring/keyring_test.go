package keyring

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"farshore/crypto/seal"
	"farshore/crypto/sign"
)

var vaultID = strings.Repeat("0123456789abcdef", 4)

func newKey(t testing.TB) sign.PrivateKey {
	t.Helper()
	k, err := sign.Generate()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newIdentity(t testing.TB) (identity, recipient string) {
	t.Helper()
	identity, recipient, err := seal.GenerateHybrid()
	if err != nil {
		t.Fatal(err)
	}
	return identity, recipient
}

// put writes a file of its own, readable by its owner.
func put(t testing.TB, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func get(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestSigningKeys(t *testing.T) {
	for _, tc := range []struct {
		role   string
		write  func(string, sign.PrivateKey) error
		read   func(string) (sign.PrivateKey, error)
		other  func(string) (sign.PrivateKey, error)
		prefix string
		is     string
	}{
		{"agent", WriteAgentKey, ReadAgentKey, ReadOwnerKey, "FARSHORE-AGENT-KEY-1", "this is an agent's signing key"},
		{"owner", WriteOwnerKey, ReadOwnerKey, ReadAgentKey, "FARSHORE-OWNER-KEY-1", "this is the owner's signing key"},
		{"auditor", WriteAuditorKey, ReadSigner, ReadAgentKey, "FARSHORE-AUDITOR-KEY-1", "this is an auditor's signing key"},
	} {
		k, path := newKey(t), filepath.Join(t.TempDir(), "key")
		if err := tc.write(path, k); err != nil {
			t.Fatal(err)
		}
		text := get(t, path)
		lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
		if len(lines) != 5 || lines[0] != "# farshore "+tc.role+" signing key" || !strings.HasPrefix(lines[1], "# created: 2") ||
			lines[2] != "# public key: "+k.Public().String() || !strings.HasPrefix(lines[4], tc.prefix) {
			t.Errorf("%s key file:\n%s", tc.role, text)
		}
		if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s key file has mode %v, %v", tc.role, info.Mode(), err)
		}
		got, err := tc.read(path)
		if err != nil || !bytes.Equal(got.Seed(), k.Seed()) {
			t.Errorf("%s key: %v, %v", tc.role, got, err)
		}
		if _, err := tc.other(path); err == nil || !strings.Contains(err.Error(), path+":5: "+tc.is) {
			t.Errorf("%s key read as the other: %v", tc.role, err)
		}
		if err := tc.write(path, newKey(t)); !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), path) || get(t, path) != text {
			t.Errorf("%s key file written over: %v", tc.role, err)
		}
		if err := tc.write(path+"2", sign.PrivateKey{}); err == nil {
			t.Errorf("no %s key was written", tc.role)
		}
	}
}

// TestReadSigner holds that the key of whoever may sign reports is read for what it is, and nothing else.
func TestReadSigner(t *testing.T) {
	for role, write := range map[string]func(string, sign.PrivateKey) error{"agent": WriteAgentKey, "owner": WriteOwnerKey, "auditor": WriteAuditorKey} {
		k, path := newKey(t), filepath.Join(t.TempDir(), "key")
		if err := write(path, k); err != nil {
			t.Fatal(err)
		}
		if got, err := ReadSigner(path); err != nil || !bytes.Equal(got.Seed(), k.Seed()) {
			t.Errorf("%s: %v, %v", role, got.ID(), err)
		}
	}
	for text, want := range map[string]string{
		"AGE-SECRET-KEY-1QQQQ\n":           "this is an age identity, where the auditor's signing key",
		"":                                 "there are 0 lines with a secret",
		"FARSHORE-AUDITOR-KEY-1QQQQQQQQ\n": "line 1",
	} {
		if _, err := ReadSigner(put(t, text)); err == nil || !strings.Contains(err.Error(), want) && !strings.Contains(err.Error(), ":1:") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestPrefixCannotBeEdited(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	if err := WriteAgentKey(path, newKey(t)); err != nil {
		t.Fatal(err)
	}
	edited := put(t, strings.Replace(get(t, path), "FARSHORE-AGENT", "FARSHORE-OWNER", 1))
	if _, err := ReadOwnerKey(edited); !errors.Is(err, errTypo) {
		t.Errorf("an agent's key with the owner's prefix: %v", err)
	}
}

func TestEveryTypoIsFound(t *testing.T) {
	line := encodeSecret(agentPrefix, newKey(t).Seed())
	if got, err := decodeSecret(agentPrefix, strings.ToLower(line)); err != nil || encodeSecret(agentPrefix, got) != line {
		t.Fatalf("small letters: %v", err)
	}
	for i := len(agentPrefix) + 1; i < len(line); i++ {
		for _, c := range charset {
			if byte(c) == line[i] {
				continue
			}
			if _, err := decodeSecret(agentPrefix, line[:i]+string(c)+line[i+1:]); err == nil {
				t.Fatalf("%c for %c at %d was not noticed", c, line[i], i)
			}
		}
		if _, err := decodeSecret(agentPrefix, line[:i]+line[i+1:]); err == nil {
			t.Errorf("without character %d was not noticed", i)
		}
		if i+1 < len(line) && line[i] != line[i+1] {
			if _, err := decodeSecret(agentPrefix, line[:i]+line[i+1:i+2]+line[i:i+1]+line[i+2:]); err == nil {
				t.Errorf("characters %d and %d exchanged were not noticed", i, i+1)
			}
		}
	}
	for _, bad := range []string{"", "1", agentPrefix + "1", line + "Q", line + " ", line[:30], strings.ToLower(line[:30]) + line[30:], "B" + line, line[:25] + "\x80" + line[26:], line[:25] + "B" + line[26:]} {
		if _, err := decodeSecret(agentPrefix, bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestBech32Vectors(t *testing.T) {
	// From BIP 173, "Test vectors".
	for _, tc := range []struct{ prefix, text string }{
		{"A", "A12UEL5L"},
		{"AN83CHARACTERLONGHUMANREADABLEPARTTHATCONTAINSTHENUMBER1ANDTHEEXCLUDEDCHARACTERSBIO", "an83characterlonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio1tt5tgs"},
		{"11", "11qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqc8247j"[1:]},
	} {
		_, err := decodeSecret(tc.prefix, tc.text)
		if good := tc.prefix != "11"; (err == nil) != good {
			t.Errorf("%s: %v", tc.text, err)
		}
	}
	got, err := decodeSecret("abcdef", "abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw")
	if err != nil || fmt.Sprintf("%x", got) != "00443214c74254b635cf84653a56d7c675be77df" {
		t.Errorf("%x, %v", got, err)
	}
}

func TestSigningKeyFilesRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	if err := WriteAgentKey(path, newKey(t)); err != nil {
		t.Fatal(err)
	}
	good := get(t, path)
	secret := good[strings.LastIndex(good, agentPrefix):]
	identity, _ := newIdentity(t)
	other := newKey(t).Public().String()
	for _, tc := range []struct{ name, content, want string }{
		{"empty", "", "there are 0 lines with a secret"},
		{"comments", "# farshore agent signing key\n", "there are 0 lines"},
		{"two secrets", good + secret, "there are 2 lines"},
		{"identity", identity + "\n", ":1: this is an age identity"},
		{"public key", other + "\n", ":1: this is a public key"},
		{"noise", "\n\nhello\n", ":3: this is not the agent's signing key"},
		{"cut", good[:len(good)-3], ":5: the secret is mistyped"},
		{"short seed", encodeSecret(agentPrefix, make([]byte, 31)), ":1: signing key has 31 bytes"},
		{"other public key", "# public key: " + other + "\n" + secret, ":1: the comment names another public key"},
		{"large", good + strings.Repeat("#\n", 40_000), "more than 65536 bytes"},
	} {
		p := put(t, tc.content)
		_, err := ReadAgentKey(p)
		if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), p) {
			t.Errorf("%s: %v", tc.name, err)
		} else if strings.Contains(err.Error(), secret[25:45]) || strings.Contains(err.Error(), identity[25:45]) {
			t.Errorf("%s: the error shows the secret: %v", tc.name, err)
		}
	}
	for name, content := range map[string]string{
		"secret alone": secret, "CRLF": strings.ReplaceAll(good, "\n", "\r\n"), "no last line feed": strings.TrimSpace(good),
		"spaces": "\n  " + secret, "small letters": strings.ToLower(secret),
	} {
		if _, err := ReadAgentKey(put(t, content)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRecovery(t *testing.T) {
	identity, recipient := newIdentity(t)
	owner := newKey(t).Public().String()
	path := filepath.Join(t.TempDir(), "recovery.key")
	if err := WriteRecovery(path, identity, vaultID, owner); err != nil {
		t.Fatal(err)
	}
	text := get(t, path)
	for _, want := range []string{"# farshore recovery key\n", "\n# vault: " + vaultID + "\n", "\n# owner: " + owner + "\n", "\n# recipient: " + recipient + "\n", "\n" + identity + "\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if ids, err := seal.ParseIdentities(strings.NewReader(text)); err != nil || len(ids) != 1 {
		t.Errorf("as a file of identities: %d, %v", len(ids), err)
	}
	r, err := ReadRecovery(path)
	if err != nil || r.VaultID != vaultID || r.Owner != owner || len(r.Identities) != 1 {
		t.Fatalf("%+v, %v", r, err)
	}
	if got, err := seal.RecipientOf(r.Identities[0]); err != nil || got != recipient {
		t.Errorf("recipient %s, %v", got, err)
	}
	if err := WriteRecovery(path, identity, vaultID, owner); !errors.Is(err, fs.ErrExist) {
		t.Errorf("written over: %v", err)
	}

	// Two recovery keys of one vault in one file, and a file that age-keygen could have written.
	second, secondRecipient := newIdentity(t)
	both := text + strings.Replace(strings.Replace(text, identity, second, 1), recipient, secondRecipient, 1)
	if r, err := ReadRecovery(put(t, both)); err != nil || len(r.Identities) != 2 || r.VaultID != vaultID {
		t.Errorf("two keys: %+v, %v", r, err)
	}
	if r, err := ReadRecovery(put(t, "# created: 2026-11-21\n# public key: "+recipient+"\n"+identity)); err != nil || r.VaultID != "" || r.Owner != "" {
		t.Errorf("plain identity: %+v, %v", r, err)
	}

	for _, tc := range []struct{ name, content, want string }{
		{"vault", strings.Replace(text, vaultID, vaultID[1:], 1), ":3: the vault id"},
		{"owner", strings.Replace(text, owner, owner[:40], 1), ":4: the owner"},
		{"recipient", strings.Replace(text, recipient, secondRecipient, 1), ":5: the comment names another recipient"},
		{"two vaults", text + "# vault: " + strings.Repeat("f", 64) + "\n", ":7: the comment \"vault\" differs from that of line 3"},
		{"two owners", text + "# owner: " + newKey(t).Public().String() + "\n", ":7: the comment \"owner\" differs"},
		{"no identity", "# farshore recovery key\n", "there is no identity"},
		{"mistyped", strings.Replace(text, identity, identity[:40]+identity[41:], 1), ":6: the identity is damaged"},
		{"signing key", encodeSecret(ownerPrefix, make([]byte, 32)), ":1: this is a signing key"},
		{"recipient alone", recipient, ":1: this is a recipient"},
		{"metadata key", strings.Replace(text, "recovery key", "metadata key", 1), "metadata key, which opens no packs"},
	} {
		p := put(t, tc.content)
		if _, err := ReadRecovery(p); err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), p) {
			t.Errorf("%s: %v", tc.name, err)
		} else if strings.Contains(err.Error(), identity[25:45]) {
			t.Errorf("%s: the error shows the secret: %v", tc.name, err)
		}
	}
}

func TestWriteRecoveryRefuses(t *testing.T) {
	identity, recipient := newIdentity(t)
	owner := newKey(t).Public().String()
	for name, args := range map[string][3]string{
		"no identity": {"", vaultID, owner}, "recipient": {recipient, vaultID, owner}, "vault": {identity, "abc", owner},
		"vault with a line feed": {identity, vaultID[:63] + "\n", owner}, "owner": {identity, vaultID, "ed25519:x"},
	} {
		path := filepath.Join(t.TempDir(), "key")
		if err := WriteRecovery(path, args[0], args[1], args[2]); err == nil {
			t.Errorf("%s was written", name)
		}
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: a file was left: %v", name, err)
		}
	}
}

func TestMetadata(t *testing.T) {
	identity, recipient := newIdentity(t)
	path := filepath.Join(t.TempDir(), "metadata.key")
	if err := WriteMetadata(path, identity); err != nil {
		t.Fatal(err)
	}
	if text := get(t, path); !strings.HasPrefix(text, "# farshore metadata key\n") || !strings.Contains(text, "\n# recipient: "+recipient+"\n"+identity+"\n") {
		t.Errorf("file:\n%s", text)
	}
	ids, err := ReadMetadata(path)
	if err != nil || len(ids) != 1 {
		t.Fatalf("%d identities, %v", len(ids), err)
	}
	if _, err := ReadRecovery(path); err == nil || !strings.Contains(err.Error(), "opens no packs") {
		t.Errorf("read as a recovery key: %v", err)
	}
	recovery := filepath.Join(t.TempDir(), "recovery.key")
	if err := WriteRecovery(recovery, identity, "", ""); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadMetadata(recovery); err == nil || !strings.Contains(err.Error(), "take it off this host") {
		t.Errorf("a recovery key read as metadata key: %v", err)
	}
	if err := WriteMetadata(path+"2", recipient); err == nil {
		t.Error("a recipient was written")
	}
}

func TestOpenToOthers(t *testing.T) {
	for _, mode := range []fs.FileMode{0o640, 0o604, 0o620, 0o644, 0o660, 0o666, 0o610, 0o601, 0o440} {
		path := put(t, "")
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, err := ReadAgentKey(path)
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("mode %04o): run chmod 600 %s", mode, path)) {
			t.Errorf("mode %04o: %v", mode, err)
		}
	}
	for _, mode := range []fs.FileMode{0o600, 0o400, 0o700} {
		path := filepath.Join(t.TempDir(), "key")
		if err := WriteAgentKey(path, newKey(t)); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadAgentKey(path); err != nil {
			t.Errorf("mode %04o: %v", mode, err)
		}
	}
}

// acl returns an access control list of (tag, permissions, id).
func acl(entries ...[3]uint32) []byte {
	b := binary.LittleEndian.AppendUint32(nil, aclVersion)
	for _, e := range entries {
		b = binary.LittleEndian.AppendUint16(b, uint16(e[0]))
		b = binary.LittleEndian.AppendUint16(b, uint16(e[1]))
		b = binary.LittleEndian.AppendUint32(b, e[2])
	}
	return b
}

func TestAccessControlLists(t *testing.T) {
	const nobody, group, other, groupNamed = 0xffffffff, 0x04, 0x20, 0x08
	service := [][3]uint32{{aclUserObj, 4, nobody}, {aclUser, 4, 1000}, {group, 0, nobody}, {aclMask, 4, nobody}, {other, 0, nobody}}
	with := func(more ...[3]uint32) []byte { return acl(append(append([][3]uint32{}, service...), more...)...) }
	for _, tc := range []struct {
		name string
		acl  []byte
		uid  uint32
		want bool
	}{
		{"a credential for this service", with(), 1000, true},
		{"a credential for another service", with(), 1001, false},
		{"group too", with([3]uint32{group, 4, nobody}), 1000, false},
		{"another user too", with([3]uint32{aclUser, 4, 1001}), 1000, false},
		{"another user without reading", with([3]uint32{aclUser, 0, 1001}), 1000, true},
		{"a named group", with([3]uint32{groupNamed, 4, 5}), 1000, false},
		{"others", with([3]uint32{other, 4, nobody}), 1000, false},
		{"no user named", acl([3]uint32{aclUserObj, 4, nobody}, [3]uint32{group, 0, nobody}), 1000, false},
		{"empty", nil, 1000, false},
		{"cut short", with()[:len(with())-1], 1000, false},
		{"another version", append([]byte{3, 0, 0, 0}, with()[4:]...), 1000, false},
	} {
		if got := aclOnlyFor(tc.acl, tc.uid); got != tc.want {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
	// On a file, where the file system has such lists.
	path := filepath.Join(t.TempDir(), "key")
	if err := WriteAgentKey(path, newKey(t)); err != nil {
		t.Fatal(err)
	}
	me := acl([3]uint32{aclUserObj, 4, nobody}, [3]uint32{aclUser, 4, uint32(os.Geteuid())}, [3]uint32{group, 0, nobody}, [3]uint32{aclMask, 4, nobody}, [3]uint32{other, 0, nobody})
	if err := unix.Setxattr(path, aclAttr, me, 0); err != nil {
		t.Skipf("no access control lists here: %v", err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o440 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	if _, err := ReadAgentKey(path); err != nil {
		t.Errorf("a credential of mode 0440 for this user alone: %v", err)
	}
}

func TestNoKeyFile(t *testing.T) {
	dir := t.TempDir()
	loop := filepath.Join(dir, "loop")
	if err := os.Symlink(loop, loop); err != nil {
		t.Fatal(err)
	}
	pipe := filepath.Join(dir, "pipe")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ path, want string }{
		{dir, "is a directory"}, {loop, "in a circle"}, {pipe, "not a regular file"}, {"/dev/null", "not a regular file"},
	} {
		if _, err := ReadAgentKey(tc.path); err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), tc.path) {
			t.Errorf("%s: %v", tc.path, err)
		}
	}
	missing := filepath.Join(dir, "missing")
	if _, err := ReadAgentKey(missing); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), missing) {
		t.Errorf("missing: %v", err)
	}
	// A symbolic link to a key is followed; one in the way of a new key is not.
	key, link := filepath.Join(dir, "key"), filepath.Join(dir, "link")
	if err := WriteAgentKey(key, newKey(t)); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("key", link); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadAgentKey(link); err != nil {
		t.Errorf("through a link: %v", err)
	}
	dangling := filepath.Join(dir, "dangling")
	if err := os.Symlink("target", dangling); err != nil {
		t.Fatal(err)
	}
	if err := WriteAgentKey(dangling, newKey(t)); !errors.Is(err, fs.ErrExist) {
		t.Errorf("written through a link: %v", err)
	}
	if err := WriteAgentKey(filepath.Join(dir, "no", "key"), newKey(t)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("written into no directory: %v", err)
	}
}

func FuzzFiles(f *testing.F) {
	identity, recipient := newIdentity(f)
	f.Add([]byte("# farshore recovery key\n# vault: " + vaultID + "\n# recipient: " + recipient + "\n" + identity + "\n"))
	f.Add([]byte("# public key: x\n" + encodeSecret(agentPrefix, make([]byte, 32))))
	f.Fuzz(func(t *testing.T, content []byte) {
		if k, err := parseSigning(content, "agent", agentPrefix); err == nil && k.IsZero() {
			t.Fatal("a key that is none")
		}
		if _, err := parseSigning(content, "owner", ownerPrefix); err == nil && !bytes.Contains(bytes.ToUpper(content), []byte(ownerPrefix)) {
			t.Fatal("an owner's key without its prefix")
		}
		r, err := parseRecovery(content)
		if err == nil && (len(r.Identities) == 0 || (r.VaultID != "" && !isVaultID(r.VaultID))) {
			t.Fatalf("%+v", r)
		}
		if _, err := parseMetadata(content); err == nil && len(r.Identities) == 0 && !strings.Contains(string(content), "farshore metadata key") {
			// What opens as metadata key opens as recovery key too, unless a comment that only recovery keys have is wrong.
			if _, ok := parseText(content).comments["vault"]; !ok && parseText(content).comments["owner"] == nil {
				t.Fatalf("recovery key refused: %v", err)
			}
		}
	})
}

func FuzzSecret(f *testing.F) {
	f.Add(encodeSecret(agentPrefix, make([]byte, 32)))
	f.Fuzz(func(t *testing.T, s string) {
		if data, err := decodeSecret(agentPrefix, s); err == nil && encodeSecret(agentPrefix, data) != strings.ToUpper(s) {
			t.Fatalf("%q was read as %x", s, data)
		}
	})
}
