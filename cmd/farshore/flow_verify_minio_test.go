package main

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"farshore/agent/report"
	"farshore/providers/servers"
)

// outpost is a vault on MinIO, with the credentials that `farshore policy` prints for each role, a source with two packs in it, and an auditor that the owner named.
type outpost struct {
	*rig
	store, writer, auditor, owner servers.S3
	place, url, key               string // the vault's bucket and address, and the auditor's key's id
	auditing                      []string
}

func newOutpost(t *testing.T) *outpost {
	t.Helper()
	server := servers.MinIO(t)
	p := &outpost{rig: &rig{t: t, dir: t.TempDir()}, store: server, place: lockedVault(t, server)}
	t.Chdir(p.dir)
	p.url = server.URL(p.place, "vault")
	role := func(role string) servers.S3 { return servers.MinIOUser(t, server, p.policy(p.url, role)) }
	p.writer, p.auditor, p.owner = role("writer"), role("auditor"), role("owner")
	p.sourceFor(p.writer)
	setAWS(t, p.owner)
	p.ok("init", "--vault", p.url, "--config", "farshore.yaml", "--kit", "kit", "--quiet")
	setAWS(t, p.writer)
	p.ok("source", "add", "shop", p.rig.url())
	p.ok("replicate")
	p.put(map[string]string{"c": "gamma"})
	p.ok("replicate")
	var key auditorKeyResult
	p.json(&key, "vault", "agent", "key", "auditor.key")
	setAWS(t, p.owner)
	p.declare("agent", "add", "--role", "auditor", "--key", key.Key)
	p.key = key.KeyID
	p.auditing = []string{"--vault", p.url, "--owner-pub", p.ownerKey("kit/owner.key").Public().String(), "--key", p.path("auditor.key")}
	return p
}

// audits runs verify as the auditor's machine does, which has no configuration.
func (p *outpost) audits(more ...string) *did {
	p.t.Helper()
	p.t.Chdir(p.t.TempDir())
	defer p.t.Chdir(p.dir)
	setAWS(p.t, p.auditor)
	return p.run(append(append([]string{"verify"}, p.auditing...), more...)...)
}

// TestVerifyOffsite runs the verifier with the auditor's credential and key, beside an agent that may not read packs: each says what it saw, in a chain of its own.
func TestVerifyOffsite(t *testing.T) {
	p := newOutpost(t)
	p.audits().ends(exitDone).says("INTACT", "signed by "+p.key)
	setAWS(t, p.writer)
	// The agent's credential may not read packs: that is no damage, and not intact either.
	p.run("verify").ends(exitIncomplete).says("INCOMPLETE", "the credential may not read them").warns("not all that was to be checked")
	p.ok("report").says("auditor", "intact", "agent", "INCOMPLETE")
	p.ok("report", "check", p.key+"/2")
	// A pack is overwritten by whoever may: the right version beneath it is read, and that is tampering.
	client := p.store.Client(t)
	packs := p.packsIn(client)
	if len(packs) != 2 {
		t.Fatalf("packs: %q", packs)
	}
	if _, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &p.place, Key: &packs[0], Body: strings.NewReader("nothing of the kind")}); err != nil {
		t.Fatal(err)
	}
	p.audits().ends(exitDamage).says("TAMPERED", strings.TrimPrefix(packs[0], "vault/"))
	setAWS(t, p.writer)
	p.ok("report", "list").says("TAMPERED")
	p.run("report", "check", p.key+"/4").ends(exitDone)
}

// packsIn lists the packs' keys.
func (p *outpost) packsIn(client *s3.Client) (keys []string) {
	p.t.Helper()
	out, err := client.ListObjectsV2(p.t.Context(), &s3.ListObjectsV2Input{Bucket: &p.place, Prefix: aws.String("vault/packs/")})
	if err != nil {
		p.t.Fatal(err)
	}
	for _, o := range out.Contents {
		if !strings.Contains(*o.Key, "/canary/") {
			keys = append(keys, *o.Key)
		}
	}
	return keys
}

// TestVerifyOffsiteInterrupted interrupts the auditor's run while it reads the first pack: the report that is left has what was read until then, and the next run goes on.
func TestVerifyOffsiteInterrupted(t *testing.T) {
	p := newOutpost(t)
	to, err := url.Parse(p.store.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(to) // which leaves the Host as it was signed
	var once sync.Once
	var released atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if !released.Load() && q.Method == http.MethodGet && strings.Contains(q.URL.Path, "/vault/packs/") {
			once.Do(func() {
				if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
					t.Error(err)
				}
			})
			<-q.Context().Done()
			return
		}
		proxy.ServeHTTP(w, q)
	}))
	t.Cleanup(server.Close)
	through := p.store
	through.Endpoint = server.URL
	p.auditing[1] = through.URL(p.place, "vault")
	p.audits().ends(exitInterrupted).says("INCOMPLETE", "stopped").warns("is kept in reports/"+p.key+"/", "interrupted").lacks("context canceled")
	released.Store(true)
	var list reportList
	setAWS(t, p.auditor)
	p.json(&list, "report", "list")
	if len(list.Reports) != 1 || len(list.Abandoned) != 0 || list.Reports[0].Verdict != report.VerdictIncomplete || !strings.Contains(list.Reports[0].Line, "interrupted") {
		t.Errorf("%+v", list)
	}
	p.ok("report", "check")
	p.audits().ends(exitDone).says("INTACT")
	setAWS(t, p.auditor)
	p.ok("report", "check")
}
