package main

import (
	"os"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/plugin"

	"farshore/crypto/seal"
)

// rehearsalPlugin is a plugin of age's, a program of its own: its identities have one of age's own inside, as a token would. One without has no token.
func rehearsalPlugin() {
	p, err := plugin.New("rehearsal")
	if err != nil {
		os.Exit(1)
	}
	p.HandleIdentity(func(data []byte) (age.Identity, error) { return seal.ParseIdentity(string(data)) })
	os.Exit(p.Main())
}

// TestDrillPlugin drills with an identity that only a plugin can use, and with one whose token is missing.
func TestDrillPlugin(t *testing.T) {
	r := away(t)
	recovery, err := os.ReadFile(r.path("kit", "recovery.key"))
	if err != nil {
		t.Fatal(err)
	}
	owner := ""
	write := func(path, inside string) {
		t.Helper()
		if err := os.WriteFile(path, []byte("# a token\n"+plugin.EncodeIdentity("rehearsal", []byte(inside))+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, line := range strings.Split(string(recovery), "\n") {
		if strings.HasPrefix(line, "AGE-SECRET-KEY-") {
			write("token.txt", line)
		}
		if pub, ok := strings.CutPrefix(line, "# owner: "); ok {
			owner = pub
		}
	}
	drill := func(identity string) *did {
		return r.run("drill", "header", "--vault", r.vault(), "--owner-pub", owner, "--identity", identity)
	}
	drill("token.txt").ends(exitDone).says("1 header opened by the recovery identity").lacks("none of the vault's recovery identities")
	write("lost.txt", "no token")
	drill("lost.txt").ends(exitFailed).warns("the recovery identity failed").lacks("opened by")
	both := string(recovery) + plugin.EncodeIdentity("rehearsal", nil) + "\n"
	for path, content := range map[string]string{"both.txt": both, "bad.txt": "AGE-PLUGIN-REHEARSAL-1XX\n", "none.txt": "# nothing\n"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		drill(path).ends(exitUsage)
	}
}
