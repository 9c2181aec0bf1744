package gcsprobe

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fsouza/fake-gcs-server/fakestorage"

	"farshore/agent/probe"
	"farshore/agent/probe/probetest"
	"farshore/providers/gcs"
)

// attacker returns the attacker for gs://vault/deep/er at the endpoint, and a context that ends.
func attacker(t *testing.T, endpoint string) (context.Context, *Attacker) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	a, err := New(ctx, "gs://vault/deep/er?endpoint="+url.QueryEscape(endpoint), gcs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return ctx, a
}

const prefix = "deep/er/"

// writer are the answers that a writer's credential gets.
func writer() map[string]probe.Answer {
	want := map[string]probe.Answer{"create": probe.Permitted}
	for _, name := range []string{"update-metadata", "release-hold", "set-retention", "rewrite-onto", "compose-onto", "overwrite", "delete", "delete-version", "update-bucket"} {
		want[name] = probe.Denied
	}
	for _, p := range permissions {
		want["permission "+p.name] = probe.Denied
	}
	return want
}

// populate stores a vault below the prefix.
func (s *strict) populate() {
	for name, body := range probetest.Vault() {
		s.counter++
		s.objects[prefix+name] = &stored{generation: s.counter, metageneration: 1, body: body}
	}
}

// TestWriter has a writer's credential try: each probe is denied.
func TestWriter(t *testing.T) {
	s, endpoint := newStrict(t, writerRole...)
	s.populate()
	before := s.bodies(prefix)
	ctx, a := attacker(t, endpoint)
	probetest.Answers(t, probetest.Drive(ctx, t, a, probetest.Rooms()...), writer())
	probetest.Same(t, before, s.bodies(prefix))
}

// TestWriterWithoutVault may not create in one room, where everything is tried on names that nothing has, and is denied too.
func TestWriterWithoutVault(t *testing.T) {
	s, endpoint := newStrict(t, "storage.objects.get", "storage.objects.list")
	s.within["storage.objects.create"] = prefix + "packs/"
	ctx, a := attacker(t, endpoint)
	want := writer()
	for _, at := range probetest.Drive(ctx, t, a, "packs", "vault") {
		if at.Probe == "create" && at.Room == "vault" {
			if at.Answer != probe.Denied {
				t.Errorf("create in vault: %s: %s", at.Answer, at.Text)
			}
			continue
		}
		if at.Answer != want[at.Probe] {
			t.Errorf("%s in %q: %s (%s: %s)", at.Probe, at.Room, at.Answer, at.Code, at.Text)
		}
	}
}

// TestBlindWriter may not read packs: copies are then made from a room that it may read, since a refusal to read shows nothing.
func TestBlindWriter(t *testing.T) {
	s, endpoint := newStrict(t, "storage.objects.create", "storage.objects.list")
	ctx, a := attacker(t, endpoint)
	want := writer()
	want["rewrite-onto"], want["compose-onto"] = probe.Unknown, probe.Unknown
	probetest.Answers(t, probetest.Drive(ctx, t, a, "packs"), want)

	s.within["storage.objects.get"] = prefix + "meta/"
	probetest.Drive(ctx, t, a, "meta")
	probetest.Answers(t, probetest.Drive(ctx, t, a, "packs"), writer())
}

// TestExtra grants the writer one thing more: it is found and named, and nothing else is.
func TestExtra(t *testing.T) {
	for _, p := range permissions {
		t.Run(p.name, func(t *testing.T) {
			s, endpoint := newStrict(t, append([]string{p.name}, writerRole...)...)
			s.populate()
			before := s.bodies(prefix)
			ctx, a := attacker(t, endpoint)
			if got := probetest.Grants(probetest.Drive(ctx, t, a, "packs")); !slices.Equal(got, []string{p.name}) {
				t.Errorf("found %q", got)
			}
			probetest.Same(t, before, s.bodies(prefix))
			if s.settings["changed"] != nil {
				t.Error("the bucket was changed")
			}
		})
	}
}

// TestConditional grants something for one room alone, which the store does not say when it is asked about the bucket: the probes of objects find it there.
func TestConditional(t *testing.T) {
	for grant, probes := range map[string][]string{
		"storage.objects.delete": {"rewrite-onto", "compose-onto", "overwrite", "delete", "delete-version"},
		"storage.objects.update": {"update-metadata", "release-hold"},
	} {
		s, endpoint := newStrict(t, writerRole...)
		s.within[grant] = prefix + "meta/"
		ctx, a := attacker(t, endpoint)
		for _, at := range probetest.Drive(ctx, t, a, "packs", "meta") {
			want := probe.Denied
			if at.Probe == "create" || at.Room == "meta" && slices.Contains(probes, at.Probe) {
				want = probe.Permitted
			}
			if at.Answer != want {
				t.Errorf("%s: %s in %q: %s (%s)", grant, at.Probe, at.Room, at.Answer, at.Text)
			}
		}
	}
}

// TestEmulator has a credential that may do everything, at a store without rights: all that can be tried is permitted, and nothing but canaries has changed.
func TestEmulator(t *testing.T) {
	for _, versioning := range []bool{false, true} {
		t.Run(fmt.Sprint("versioning ", versioning), func(t *testing.T) {
			server, err := fakestorage.NewServerWithOptions(fakestorage.Options{Scheme: "http", Host: "127.0.0.1", Writer: io.Discard})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(server.Stop)
			server.CreateBucketWithOpts(fakestorage.CreateBucketOpts{Name: "vault", VersioningEnabled: versioning, DefaultEventBasedHold: true})
			for name, body := range probetest.Vault() {
				for _, at := range []string{prefix + name, name, "deep/other/" + name} {
					server.CreateObject(fakestorage.Object{ObjectAttrs: fakestorage.ObjectAttrs{BucketName: "vault", Name: at}, Content: body})
				}
			}
			before := contents(t, server)
			ctx, a := attacker(t, server.URL())
			attempts := probetest.Drive(ctx, t, a, probetest.Rooms()...)
			want := writer()
			for name := range want {
				want[name] = probe.Permitted
				if strings.HasPrefix(name, "permission ") {
					want[name] = probe.Unknown // this server has no such question
				}
			}
			probetest.Answers(t, attempts, want)
			probetest.Same(t, before, contents(t, server))
			attrs, err := a.bucket.Attrs(ctx)
			if err != nil || attrs.VersioningEnabled != versioning || !attrs.DefaultEventBasedHold {
				t.Errorf("the bucket's settings are now %+v, %v", attrs, err)
			}
			if who, err := a.Principal(ctx); err != nil || !strings.Contains(who, "emulator") {
				t.Errorf("principal %q, %v", who, err)
			}
		})
	}
}

// contents are all objects of the bucket: those below the prefix by the vault's names, the others by names that are no canary's.
func contents(t *testing.T, server *fakestorage.Server) map[string][]byte {
	t.Helper()
	list, err := server.ListObjectsWithOptionsPaginated("vault", fakestorage.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]byte{}
	for _, o := range list.Objects {
		full, err := server.GetObject("vault", o.Name)
		if err != nil {
			t.Fatal(err)
		}
		name, below := strings.CutPrefix(o.Name, prefix)
		if !below {
			name = "outside: " + o.Name
		}
		found[name] = full.Content
	}
	return found
}

// TestRefuses holds that no other name than a canary's is sent.
func TestRefuses(t *testing.T) {
	var requests atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		fault{status: 200}.write(w)
	}))
	defer server.Close()
	ctx, a := attacker(t, server.URL)
	a.sources["packs"] = "packs/ab/cd"
	probetest.Refuses(ctx, t, a)
	for _, p := range a.Object() {
		if p.Probe == "rewrite-onto" || p.Probe == "compose-onto" {
			if r := p.Try(ctx, probe.Canary{Name: "packs/canary/a"}); r.Answer != probe.Unknown {
				t.Errorf("%s from an object: %s", p.Probe, r.Answer)
			}
		}
	}
	if n := requests.Load(); n != 0 {
		t.Errorf("%d requests", n)
	}
}

// TestAnswers holds each answer of the store to what it proves.
func TestAnswers(t *testing.T) {
	tests := []struct {
		name   string
		answer fault
		want   probe.Answer
		text   string
	}{
		{"denied", fault{403, "forbidden", "x@y does not have storage.objects.delete access to the Google Cloud Storage object."}, probe.Denied, "storage.objects.delete"},
		{"denied, the other words", fault{403, "forbidden", "Permission 'storage.objects.update' denied on resource (or it may not exist)."}, probe.Denied, "storage.objects.update"},
		{"condition", *failedCondition, probe.Permitted, "only the impossible condition"},
		{"may not read", fault{403, "forbidden", "x@y does not have storage.objects.get access to the Google Cloud Storage object."}, probe.Unknown, ""},
		{"no permission named", fault{403, "forbidden", "Request is prohibited by organization's policy. vpcServiceControlsUniqueIdentifier: x"}, probe.Unknown, ""},
		{"narrow token", fault{403, "insufficientPermissions", "Insufficient Permission: does not have storage.objects.delete access"}, probe.Unknown, ""},
		{"retention", fault{403, "retentionPolicyNotMet", "Object 'vault/a' is subject to bucket's retention policy."}, probe.Unknown, "a lock refused it"},
		{"hold", fault{403, "objectUnderActiveHold", "Object 'vault/a' is under active Temporary hold."}, probe.Unknown, "a lock refused it"},
		{"bad token", fault{401, "authError", "Invalid Credentials"}, probe.Unknown, ""},
		{"not there", fault{404, "notFound", "No such object"}, probe.Unknown, ""},
		{"bad request", fault{400, "invalid", "Invalid argument."}, probe.Unknown, ""},
		{"too fast", fault{429, "rateLimitExceeded", "The object exceeded the rate limit."}, probe.Unknown, ""},
		{"broken", fault{503, "backendError", "Backend Error"}, probe.Unknown, ""},
		{"not there at all", fault{501, "notImplemented", "no"}, probe.Unknown, "no"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { test.answer.write(w) }))
			defer server.Close()
			ctx, a := attacker(t, server.URL)
			for _, p := range a.Object() {
				r := p.Try(ctx, probe.Canary{Name: "packs/canary/a", Version: "5", Exists: true})
				if held := slices.Contains([]string{"retention", "hold", "not there"}, test.name); r.Held != held {
					t.Errorf("%s: held %v", p.Probe, r.Held)
				}
				if busy := slices.Contains([]int{429, 503}, test.answer.status); r.Temporary != busy || r.Absent {
					t.Errorf("%s: temporary %v, absent %v", p.Probe, r.Temporary, r.Absent)
				}
				if r.Answer != test.want || !strings.Contains(r.Text, test.text) || !strings.HasPrefix(r.Code, fmt.Sprint("HTTP ", test.answer.status)) {
					t.Errorf("%s: %s (%s: %s), want %s with %q", p.Probe, r.Answer, r.Code, r.Text, test.want, test.text)
				}
			}
			if _, r := a.Create(ctx, "packs/canary/a", []byte("x")); r.Answer == probe.Permitted {
				t.Errorf("create: %s (%s: %s)", r.Answer, r.Code, r.Text)
			}
			for _, p := range a.Bucket() {
				if strings.HasPrefix(p.Probe, "permission ") && p.Try(ctx).Answer != probe.Unknown {
					t.Errorf("%s: an error was taken for an answer", p.Probe)
				}
			}
		})
	}
}

// TestUnknownPermission has a store that does not know a permission: nobody can have it, which is said, and is no proof.
func TestUnknownPermission(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fault{400, "invalid", "Invalid permission: " + r.URL.Query().Get("permissions")}.write(w)
	}))
	defer server.Close()
	ctx, a := attacker(t, server.URL)
	for _, p := range permissions {
		if r := a.has(ctx, p.name); r.Answer != probe.Unknown || !r.Absent {
			t.Errorf("%s: %+v", p.name, r)
		}
	}
}

// TestDeadline holds that no probe outlives its context.
func TestDeadline(t *testing.T) {
	block := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-block:
		case <-r.Context().Done():
		}
	}))
	defer server.Close()
	defer close(block)
	_, a := attacker(t, server.URL)
	for _, p := range a.Object() {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		if r := p.Try(ctx, probe.Canary{Name: "packs/canary/a", Version: "5", Exists: true}); r.Answer != probe.Unknown {
			t.Errorf("%s: %s", p.Probe, r.Answer)
		}
		cancel()
	}
}
