package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"farshore/agent/config"
	"farshore/agent/notify"
)

// desk is where channels end: it takes messages below /hook/ and /named/, and pings below /ping/.
type desk struct {
	t      *testing.T
	url    string
	mu     sync.Mutex
	bodies map[string][]string // by the address's first step
	pings  []string
	broken bool
}

// hookSecret stands for what in an address is a secret.
const hookSecret = "S3CRETPATH"

// newDesk opens the desk, and gives the rig's configuration a channel without names, one with names, pings and a file for metrics.
func newDesk(r *rig) *desk {
	r.t.Helper()
	d := &desk{t: r.t, bodies: map[string][]string{}}
	s := httptest.NewServer(http.HandlerFunc(d.take))
	r.t.Cleanup(s.Close)
	d.url = s.URL
	for name, address := range map[string]string{"hook": "/hook/" + hookSecret, "named": "/named/" + hookSecret, "shop": "/ping/shop-" + hookSecret, "audit": "/ping/audit-" + hookSecret} {
		d.secret(r, name, s.URL+address)
	}
	r.configure("sources:\n", `notify:
  - name: ops
    kind: webhook
    url: file:hook.url
  - name: all
    kind: webhook
    url: file:named.url
    on: [alarm, failure, warning, success]
    names: true
metrics:
  textfile: farshore.prom
verify:
  ping: file:audit.url
sources:
`)
	r.configure("  - name: shop\n", "  - name: shop\n    ping: file:shop.url\n")
	return d
}

func (d *desk) secret(r *rig, name, text string) {
	r.t.Helper()
	if err := os.WriteFile(r.path(name+".url"), []byte(text+"\n"), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// configure replaces a text of the configuration.
func (r *rig) configure(old, now string) {
	r.t.Helper()
	data, err := os.ReadFile(r.path("farshore.yaml"))
	if err != nil || strings.Count(string(data), old) != 1 {
		r.t.Fatalf("%v: %q is not once in\n%s", err, old, data)
	}
	if err := os.WriteFile(r.path("farshore.yaml"), []byte(strings.Replace(string(data), old, now, 1)), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

func (d *desk) take(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.broken {
		http.Error(w, "no "+hookSecret, http.StatusForbidden)
		return
	}
	_, rest, _ := strings.Cut(r.URL.Path, "/")
	where, rest, _ := strings.Cut(rest, "/")
	if where == "ping" {
		d.pings = append(d.pings, strings.ReplaceAll(rest, "-"+hookSecret, ""))
	}
	d.bodies[where] = append(d.bodies[where], string(body))
}

// expect holds what came since the last time: titles at the channel without names, at the one with, and pings. Nothing without names has a name in it.
func (d *desk) expect(hook, named, pings []string) {
	d.t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	for where, want := range map[string][]string{"hook": hook, "named": named} {
		var got []string
		for _, body := range d.bodies[where] {
			var m notify.Message
			if err := json.Unmarshal([]byte(body), &m); err != nil {
				d.t.Fatal(err)
			}
			got = append(got, m.Title)
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			d.t.Errorf("%s: got %q, want %q", where, got, want)
		}
	}
	if !slices.Equal(d.pings, pings) {
		d.t.Errorf("pings: got %q, want %q", d.pings, pings)
	}
	for _, body := range slices.Concat(d.bodies["hook"], d.bodies["ping"]) {
		for _, name := range []string{"shop", "a/1", "secret-item", hookSecret, "127.0.0.1"} {
			if strings.Contains(body, name) {
				d.t.Errorf("%q leaves in %s", name, body)
			}
		}
	}
	d.bodies, d.pings = map[string][]string{}, nil
}

// metric holds the file for metrics to have the lines.
func (r *rig) metric(lines ...string) {
	r.t.Helper()
	data, err := os.ReadFile(r.path("farshore.prom"))
	if err != nil {
		r.t.Fatal(err)
	}
	for _, l := range lines {
		if !strings.Contains(string(data), l+"\n") {
			r.t.Errorf("no %q in\n%s", l, data)
		}
	}
}

// TestNotifyReplicate plays a source that is well, then can't be read in part, then is well again.
func TestNotifyReplicate(t *testing.T) {
	r := newShop(t)
	d := newDesk(r)
	r.put(map[string]string{"secret-item": "x"})
	r.ok("replicate", "--quiet").lacks(hookSecret)
	d.expect(nil, []string{"farshore: pass of shop succeeded"}, []string{"shop/start", "shop"})
	r.metric(`farshore_pass_success{source="shop"} 1`, `farshore_pass_items{source="shop",result="new"} 4`, "farshore_append_only_proven 0", "farshore_notifications_failed 0")

	r.put(map[string]string{"secret-item": "changed"})
	r.gate.deny("secret-item")
	r.run("replicate", "--quiet").ends(exitIncomplete)
	d.expect([]string{"farshore: pass of source 1 of 1 ended with a warning"}, []string{"farshore: pass of shop ended with a warning"}, []string{"shop/start", "shop/fail"})
	r.metric(`farshore_pass_success{source="shop"} 0`, `farshore_pass_exit_code{source="shop"} 3`, `farshore_pass_items{source="shop",result="unreadable"} 1`)
	var again struct{ Told toldResult }
	did, _ := r.json(&again, "replicate", "--quiet")
	did.ends(exitIncomplete)
	d.expect(nil, nil, []string{"shop/start", "shop/fail"})
	if again.Told.Held != 2 || again.Told.Failed != 0 || again.Told.Sent != 1 {
		t.Errorf("%+v", again.Told)
	}
	r.gate.set(nil)
	r.ok("replicate", "--quiet")
	d.expect([]string{"farshore: pass of source 1 of 1 is well again"}, []string{"farshore: pass of shop is well again"}, []string{"shop/start", "shop"})

	r.ok("replicate", "--dry-run")
	d.expect(nil, nil, nil)
}

// TestNotifyNoVault holds that a run which does not come to any source tells so, by channels and by pings.
func TestNotifyNoVault(t *testing.T) {
	r := newShop(t)
	d := newDesk(r)
	if err := os.Rename(r.path("vault"), r.path("gone")); err != nil {
		t.Fatal(err)
	}
	if code := r.run("replicate").code; code == exitDone {
		t.Fatal("it succeeded")
	}
	d.expect([]string{"farshore: pass of all sources FAILED"}, []string{"farshore: pass of all sources FAILED"}, []string{"shop/fail"})
	r.metric(`farshore_pass_success{source="shop"} 0`)
	if err := os.Rename(r.path("gone"), r.path("vault")); err != nil {
		t.Fatal(err)
	}
	r.ok("replicate")
	d.expect([]string{"farshore: pass of all sources is well again"}, []string{"farshore: pass of all sources is well again", "farshore: pass of shop succeeded"}, []string{"shop/start", "shop"})
}

// TestNotifyBroken holds that channels which can't be used, or do not answer, make no pass fail, are said, and show no secret.
func TestNotifyBroken(t *testing.T) {
	r := newShop(t)
	d := newDesk(r)
	d.broken = true
	if err := os.Chmod(r.path("named.url"), 0o644); err != nil {
		t.Fatal(err)
	}
	var out struct{ Told toldResult }
	did, _ := r.json(&out, "replicate")
	did.ends(exitDone).warns("channel all was not told", "chmod 600", "channel ping was not told: it answered 403 Forbidden").lacks(hookSecret)
	if out.Told.Failed != 3 || out.Told.Sent != 0 {
		t.Errorf("%+v", out.Told)
	}
	r.metric("farshore_notifications_failed 3")
	r.run("notify", "test").ends(exitIncomplete).says("chmod 600", "it answered 403 Forbidden", "its address is well; it was not called").lacks(hookSecret)
	d.broken = false
	if err := os.Chmod(r.path("named.url"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.ok("notify", "test").says("ops", "sent")
	d.expect([]string{"farshore: this is a test"}, []string{"farshore: this is a test"}, nil)
	if err := os.Remove(r.path("farshore.prom")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(r.path("farshore.prom"), 0o755); err != nil {
		t.Fatal(err)
	}
	r.ok("replicate").warns("the numbers were not written to farshore.prom: metrics: ")
}

// TestNotifyVerify holds audits and drills to be told: well, and damaged.
func TestNotifyVerify(t *testing.T) {
	r := newShop(t)
	d := newDesk(r)
	r.ok("replicate", "--quiet")
	d.expect(nil, []string{"farshore: pass of shop succeeded"}, []string{"shop/start", "shop"})
	r.ok("verify")
	d.expect(nil, []string{"farshore: audit of the vault succeeded"}, []string{"audit/start", "audit"})
	r.metric("farshore_audit_success 1", `farshore_audit_verdict{verdict="intact"} 1`, `farshore_pass_success{source="shop"} 1`)
	r.run("verify", "nosource").ends(exitUsage)
	d.expect(nil, nil, nil)

	key := r.path("kit", "recovery.key")
	r.ok("verify", "shop", "--drill", r.path("drill"), "--identity", key)
	d.expect(nil, []string{"farshore: drill of shop succeeded"}, nil)
	r.metric(`farshore_drill_success{source="shop"} 1`)

	packs, err := filepath.Glob(r.path("vault", "packs", "*", "*"))
	if err != nil || len(packs) == 0 {
		t.Fatal(packs, err)
	}
	if err := os.Remove(packs[0]); err != nil {
		t.Fatal(err)
	}
	r.run("verify").ends(exitDamage)
	d.expect([]string{"farshore: ALARM: audit of the vault"}, []string{"farshore: ALARM: audit of the vault"}, []string{"audit/start", "audit/fail"})
	r.metric("farshore_audit_success 0", `farshore_audit_verdict{verdict="damaged"} 1`, "farshore_audit_damaged_objects 1")

	r.ok("snapshots", "--vault", r.vault(), "--identity", key)
	d.expect(nil, nil, nil)
}

// TestNotifyInterrupted holds that nobody is told of a run that was stopped, but for what is an alarm.
func TestNotifyInterrupted(t *testing.T) {
	r := newShop(t)
	d := newDesk(r)
	e, _, _ := testEnv(t)
	c, err := e.loadConfig()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errInterrupted)
	tell := e.teller(c)
	tell.pass(ctx, "shop", new(passResult), ctx.Err())
	tell.audit(ctx, "", nil, ctx.Err())
	tell.session(ctx, c.Sources, c.Sources, nil, ctx.Err())
	tell.close(ctx)
	d.expect(nil, nil, nil)
	tell = e.teller(c)
	tell.pass(ctx, "shop", &passResult{Suspicious: []string{"deleted: 9 of 10 items"}}, ctx.Err())
	tell.close(ctx)
	d.expect([]string{"farshore: ALARM: pass of source 1 of 1"}, []string{"farshore: ALARM: pass of shop"}, []string{"shop/fail"})
}

// TestNotifyBeside holds that what a daemon's run over one source could not begin is told of that source, and that a run of another one beside it does not say that it is well again.
func TestNotifyBeside(t *testing.T) {
	r := newShop(t)
	d := newDesk(r)
	e, _, _ := testEnv(t)
	c, err := e.loadConfig()
	if err != nil {
		t.Fatal(err)
	}
	e.shared = e.sharing(c)
	other := []config.Source{{Name: "other"}}
	run := func(asked []config.Source, missed []config.Source, err error) {
		tell := e.teller(c)
		tell.session(t.Context(), asked, missed, nil, err)
		tell.close(t.Context())
	}
	run(c.Sources, c.Sources, errors.New("the store is gone"))
	run(other, nil, nil)
	d.expect([]string{"farshore: pass of source 1 of 1 FAILED"}, []string{"farshore: pass of shop FAILED"}, []string{"shop/fail"})
	tell := e.teller(c)
	tell.pass(t.Context(), "shop", &passResult{Source: "shop", Complete: true}, nil)
	tell.session(t.Context(), c.Sources, nil, nil, nil)
	tell.close(t.Context())
	d.expect([]string{"farshore: pass of source 1 of 1 is well again"}, []string{"farshore: pass of shop is well again"}, []string{"shop"})
}
