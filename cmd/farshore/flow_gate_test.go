package main

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"farshore/agent/probe"
	"farshore/providers/servers"
)

// at runs a command as if it were that much later.
func (r *rig) at(later time.Duration, args ...string) *did {
	r.t.Helper()
	e, stdout, stderr := testEnv(r.t)
	e.now = func() time.Time { return time.Now().Add(later) }
	code := run(args, e)
	d := &did{r.t, "farshore " + strings.Join(args, " "), code, stdout.String(), stderr.String()}
	r.t.Logf("%v later $ %s\n%s%sexit %d", later, d.args, d.stdout, d.stderr, d.code)
	return d
}

// probes reports whether what is done leaves new canaries, as every run of the probe does and nothing else.
func (o *offsite) probes(does func()) bool {
	o.t.Helper()
	_, before := o.versions()
	does()
	_, after := o.versions()
	return after > before
}

// asks holds a command to probe, or not to, because of what is named.
func (o *offsite) asks(want bool, why string, does func()) {
	o.t.Helper()
	if got := o.probes(does); got != want {
		o.t.Errorf("%s: probed is %v", why, got)
	}
}

// TestProofIsKept holds the agent to ask once in 24 hours, and whenever it can't be sure that the proof is about what it does now.
func TestProofIsKept(t *testing.T) {
	o := newOffsite(t, servers.MinIO(t))
	o.role("writer")
	replicate := func() { t.Helper(); o.ok("replicate").says("PROTECTED").lacks("UNPROTECTED", "NOT PROVEN") }
	later := func(d time.Duration) func() {
		return func() {
			t.Helper()
			o.at(d, "replicate").ends(exitDone).says("PROTECTED").lacks("UNPROTECTED", "NOT PROVEN")
		}
	}
	o.asks(true, "the first time", replicate)
	o.asks(false, "again", replicate)
	o.asks(false, "23 hours later", later(23*time.Hour))
	o.asks(false, "a dry run", func() { o.at(30*time.Hour, "replicate", "--dry-run").ends(exitDone) })
	o.at(25*time.Hour, "snapshots").says("NOT PROVEN", "the proof does not count any more").lacks("UNPROTECTED")
	o.asks(true, "25 hours later", later(25*time.Hour))
	o.asks(true, "the clock was set back", replicate)
	o.asks(false, "after that", replicate)
	o.role("writer")
	o.asks(true, "another principal", replicate)
	o.asks(false, "the same", replicate)
	o.asks(true, "the command, whatever is proven", func() { o.ok("probe") })
	if err := os.RemoveAll("state"); err != nil {
		t.Fatal(err)
	}
	o.ok("snapshots").says("NOT PROVEN", "no proof that the agent's credential is append-only is kept here")
	o.asks(true, "the local state is gone", replicate)
	good, err := os.ReadFile("state/proof.json")
	if info, serr := os.Stat("state/proof.json"); err != nil || serr != nil || info.Mode() != 0o600 {
		t.Fatalf("%v %v %v", info, err, serr)
	}
	for name, garbage := range map[string]string{
		"empty": "", "torn": string(good[:len(good)/2]), "another schema": strings.Replace(string(good), "farshore.proof/1", "farshore.proof/2", 1), "no report": `{"schema":"farshore.proof/1"}`,
		"of another vault": strings.Replace(string(good), `"place": "s3://`, `"place": "s3://x`, 1),
	} {
		if err := os.WriteFile("state/proof.json", []byte(garbage), 0o600); err != nil {
			t.Fatal(err)
		}
		o.ok("snapshots").says("NOT PROVEN").lacks("UNPROTECTED")
		o.asks(true, name, replicate)
		o.asks(false, "after "+name, replicate)
	}
	// One that can't be replaced keeps nobody from working: it is asked each time.
	if err := os.Remove("state/proof.json"); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll("state/proof.json/x", 0o700); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		o.asks(true, "it can't be kept", func() {
			o.ok("replicate").says("PROTECTED").warns("the proof is not kept, and the next run makes another", "state")
		})
	}
	o.ok("probe").warns("the proof is not kept")
}

// TestProofOfSessions holds rotating session keys of one user to be no reason to ask again, and a session with other rights to be one.
func TestProofOfSessions(t *testing.T) {
	o := newOffsite(t, servers.MinIO(t))
	user := o.role("writer")
	session := func(policy *string) {
		t.Helper()
		c := sts.New(sts.Options{Region: user.Region, BaseEndpoint: &user.Endpoint, Credentials: user.Credentials()})
		out, err := c.AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::123456789012:role/any"), RoleSessionName: aws.String("any"), Policy: policy})
		if err != nil {
			t.Fatal(err)
		}
		o.become(servers.S3{AccessKey: *out.Credentials.AccessKeyId, SecretKey: *out.Credentials.SecretAccessKey})
		t.Setenv("AWS_SESSION_TOKEN", *out.Credentials.SessionToken)
	}
	replicate := func() { t.Helper(); o.ok("replicate").says("PROTECTED").lacks("UNPROTECTED", "NOT PROVEN") }
	session(nil)
	o.asks(true, "the first session", replicate)
	var r replicateResult
	for range 2 {
		session(nil)
		o.asks(false, "another session", func() { o.json(&r, "replicate") })
		if r.Protection == nil || r.Protection.Principal != `temporary keys of "`+user.AccessKey+`"` || r.Protection.Verdict != probe.Protected {
			t.Errorf("%+v", r.Protection)
		}
	}
	session(aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:*"],"Resource":["arn:aws:s3:::*"]}]}`))
	o.asks(true, "a session with a policy of its own", replicate)
	o.become(user)
	o.asks(true, "the user's own key", replicate)
	b, err := os.ReadFile("state/proof.json")
	if err != nil || bytes.Contains(b, []byte(user.SecretKey)) {
		t.Errorf("%v: the proof has the secret", err)
	}
}

// TestRequireNone replicates with a credential that may do everything: nothing is tried, and everything says UNPROTECTED.
func TestRequireNone(t *testing.T) {
	o := newOffsite(t, servers.MinIO(t))
	o.run("replicate").ends(exitDamage).warns("UNPROTECTED", "s3:DeleteObjectVersion", "s3:PutLifecycleConfiguration")
	o.settle("require: none")
	o.asks(false, "require: none", func() {
		o.ok("replicate").says("2 new", "UNPROTECTED: what the credential may do to the vault is not asked (require: none)").warns("UNPROTECTED")
		o.ok("snapshots").says("UNPROTECTED", "require: none")
		o.ok("verify", "--identity", "kit/recovery.key").says("UNPROTECTED", "require: none")
		for _, command := range []string{"replicate", "snapshots", "verify"} {
			var got struct{ Protection *protection }
			if d, _ := o.json(&got, command); d.code != exitDone || got.Protection == nil || got.Protection.Verdict != probe.Unprotected || got.Protection.Required != "none" {
				t.Errorf("%s: exit %d, %+v", command, d.code, got.Protection)
			}
		}
	})
	o.run("probe").ends(exitDamage).says("UNPROTECTED")
	// A copy of the vault elsewhere says nothing of the agent's credential.
	o.ok("snapshots", "--vault", strings.Replace(o.place, "&path_style=true", "", 1)).lacks("UNPROTECTED")
}

// gated puts a gate before the server, and returns the account at the gate.
func gated(t *testing.T, s servers.S3) (servers.S3, *gate) {
	t.Helper()
	target, err := url.Parse(s.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	// The Host header goes through as it came, since it is signed.
	g := &gate{next: &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = target.Scheme, target.Host, r.In.Host
	}}}
	server := httptest.NewServer(g)
	t.Cleanup(server.Close)
	s.Endpoint = server.URL
	return s, g
}

// TestProofNeedsTheStore holds an agent whose key the store stops knowing while it is proven to one clear failure with nothing replicated, and one whose canaries alone find no
// answer to saying that nothing is proven.
func TestProofNeedsTheStore(t *testing.T) {
	provider, g := gated(t, servers.MinIO(t))
	o := newOffsite(t, provider)
	o.role("writer")
	var n atomic.Int64
	refuse := func(w http.ResponseWriter, status int, code string) bool {
		w.WriteHeader(status)
		fmt.Fprintf(w, "<Error><Code>%s</Code><Message>not now</Message></Error>", code)
		return true
	}
	for _, from := range []int64{0, 40, 150} {
		before := o.counted(g)
		n.Store(0)
		g.set(func(w http.ResponseWriter, _ *http.Request) bool {
			return n.Add(1) > from && refuse(w, http.StatusForbidden, "InvalidAccessKeyId")
		})
		o.run("replicate").ends(exitFailed).warns("InvalidAccessKeyId", "hint: ").lacks("UNPROTECTED", " PROTECTED", "new to the vault")
		if after := o.counted(g); n.Load() <= from || !maps.Equal(before, after) {
			t.Errorf("from request %d of %d on: %d objects, %d before", from, n.Load(), len(after), len(before))
		}
	}
	n.Store(0)
	g.set(func(w http.ResponseWriter, r *http.Request) bool {
		return r.Method == http.MethodDelete && strings.Contains(r.URL.Path, "/packs/canary/") && refuse(w, http.StatusServiceUnavailable, "ServiceUnavailable")
	})
	o.run("replicate").ends(exitIncomplete).says("2 new", "NOT PROVEN").warns("it is not proven that the agent's credential is append-only", "503").lacks("UNPROTECTED: ")
	g.set(nil)
	o.asks(true, "once it is back", func() { o.ok("replicate").says("PROTECTED").lacks("NOT PROVEN") })
}

// counted is versions without canaries, with the gate open.
func (o *offsite) counted(g *gate) map[string]string {
	o.t.Helper()
	g.set(nil)
	kept, _ := o.versions()
	return kept
}

// TestProofsAtOnce has several processes probe and replicate at once: each ends as it would alone, but for the replications that find another at work, and the proof that is
// kept is whole.
func TestProofsAtOnce(t *testing.T) {
	o := newOffsite(t, servers.MinIO(t))
	writer := o.role("writer")
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var replicated atomic.Int64
	for i, command := range []string{"probe", "replicate", "probe", "replicate"} {
		wg.Go(func() {
			cmd := exec.CommandContext(t.Context(), program, command)
			cmd.Args[0], cmd.Dir = "farshore", o.dir
			cmd.Env = append(os.Environ(), "HOME="+o.dir, "AWS_ACCESS_KEY_ID="+writer.AccessKey, "AWS_SECRET_ACCESS_KEY="+writer.SecretKey)
			out, err := cmd.CombinedOutput()
			busy := command == "replicate" && bytes.Contains(out, []byte("another run of this agent is at work"))
			if command == "replicate" && err == nil {
				replicated.Add(1)
			}
			if err != nil && !busy || !busy && !bytes.Contains(out, []byte("PROTECTED")) || bytes.Contains(out, []byte("UNPROTECTED")) {
				t.Errorf("%d %s: %v\n%s", i, command, err, out)
			}
		})
	}
	wg.Wait()
	if replicated.Load() == 0 {
		t.Error("none replicated")
	}
	if r, err := probe.Load("state"); err != nil || r == nil || r.Verdict != probe.Protected {
		t.Errorf("%+v, %v", r, err)
	}
	o.asks(false, "afterwards", func() { o.ok("replicate").says("PROTECTED") })
}

// TestCanariesAreFew holds what a run leaves behind to what the documentation says that it costs.
func TestCanariesAreFew(t *testing.T) {
	o := newOffsite(t, servers.MinIO(t))
	_, none := o.versions()
	o.role("writer")
	r := o.probed(exitDone)
	_, canaries := o.versions()
	if none != 0 || canaries != len(r.Canaries) || canaries > 60 {
		t.Errorf("%d canaries, %d before; the report has %d", canaries, none, len(r.Canaries))
	}
	t.Logf("a run leaves %d canaries", canaries)
	// An all-powerful credential leaves some more: it may create in the room of statements, and with locks of its own.
	o.become(o.provider)
	o.probed(exitDamage)
	if _, all := o.versions(); all-canaries > 120 {
		t.Errorf("%d canaries", all-canaries)
	}
}
