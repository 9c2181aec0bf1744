package s3probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"farshore/agent/probe"
	"farshore/providers/s3/s3client"
)

// TestAnswers holds what each kind of answer of a service proves.
func TestAnswers(t *testing.T) {
	tests := []struct {
		status        int
		code, message string
		want          probe.Answer
		temporary     bool
		held          bool
	}{
		{403, "AccessDenied", "Access Denied", probe.Denied, false, false},
		{403, "AccessDenied", "User: arn:aws:iam::1:user/x is not authorized to perform: s3:PutObjectRetention because of the object lock", probe.Denied, false, false},
		{403, "AccessDenied", "Access Denied because object protected by object lock.", probe.Unknown, false, true},
		{400, "InvalidRequest", "Object is WORM protected and cannot be overwritten", probe.Unknown, false, true},
		{400, "InvalidRequest", "Bucket is missing Object Lock Configuration", probe.Unknown, false, false},
		{403, "ObjectLocked", "", probe.Unknown, false, true},
		{400, "AccessDenied", "Access Denied", probe.Unknown, false, false},
		{403, "SignatureDoesNotMatch", "", probe.Unknown, false, false},
		{403, "InvalidAccessKeyId", "", probe.Unknown, false, false},
		{403, "RequestTimeTooSkewed", "", probe.Unknown, false, false},
		{403, "", "", probe.Unknown, false, false},
		{401, "Unauthorized", "", probe.Unknown, false, false},
		{404, "NoSuchKey", "", probe.Unknown, false, false},
		{405, "MethodNotAllowed", "", probe.Unknown, false, false},
		{409, "OperationAborted", "", probe.Unknown, true, false},
		{412, "PreconditionFailed", "", probe.Unknown, false, false},
		{500, "InternalError", "", probe.Unknown, true, false},
		{500, "Broken", "", probe.Unknown, false, false},
		{501, "NotImplemented", "", probe.Unknown, false, false},
		{503, "SlowDown", "", probe.Unknown, true, false},
		{503, "", "", probe.Unknown, true, false},
	}
	for _, tt := range tests {
		a := answering(t, func(w http.ResponseWriter, _ *http.Request) { say(w, tt.status, tt.code, tt.message) })
		key := "v/packs/canary/x"
		r := a.deleteLast(t.Context(), &key, probe.Canary{})
		if r.Answer != tt.want || r.Temporary != tt.temporary || r.Held != tt.held {
			t.Errorf("%d %s %q: %+v", tt.status, tt.code, tt.message, r)
		}
	}
	if r := classify(fmt.Errorf("stopped: %w", context.Canceled)); r.Answer != probe.Unknown || r.Temporary {
		t.Errorf("the end of the context: %+v", r)
	}
	if r := classify(errors.New("anything")); r.Answer != probe.Unknown {
		t.Errorf("an error without an answer: %+v", r)
	}
}

// answering is an attacker of a service that answers everything in the same way.
func answering(t *testing.T, h http.HandlerFunc) *Attacker {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	a, err := New(t.Context(), "s3://bucket/v?endpoint="+server.URL, s3client.Options{Credentials: credentials.NewStaticCredentialsProvider("id", "secret", "")})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func say(w http.ResponseWriter, status int, code, message string) {
	w.WriteHeader(status)
	if code != "" {
		fmt.Fprintf(w, "<Error><Code>%s</Code><Message>%s</Message></Error>", code, message)
	}
}

// TestManyAnswers holds that the answer to a request for many keys is read from its body.
func TestManyAnswers(t *testing.T) {
	for body, want := range map[string]probe.Answer{
		`<DeleteResult><Error><Key>k</Key><Code>AccessDenied</Code></Error></DeleteResult>`:                                    probe.Denied,
		`<DeleteResult><Error><Key>k</Key><Code>AccessDenied</Code><Message>object is locked</Message></Error></DeleteResult>`: probe.Unknown,
		`<DeleteResult><Error><Key>k</Key><Code>InternalError</Code></Error></DeleteResult>`:                                   probe.Unknown,
		`<DeleteResult><Deleted><Key>k</Key></Deleted></DeleteResult>`:                                                         probe.Permitted,
		`<DeleteResult></DeleteResult>`: probe.Unknown,
	} {
		a := answering(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) })
		key := "k"
		if r := a.multiDelete(t.Context(), &key, probe.Canary{}); r.Answer != want {
			t.Errorf("%s: %+v", body, r)
		}
	}
}

// TestWeigh holds what a refusal of a setting's content means: permission where the same is denied without a credential, and nothing where it is not.
func TestWeigh(t *testing.T) {
	tests := map[string]struct {
		set, anonymous, get int
		want                probe.Answer
		absent              bool
	}{
		"denied":                     {403, 403, 200, probe.Denied, false},
		"content, after credential":  {400, 403, 200, probe.Permitted, false},
		"content, before credential": {400, 400, 200, probe.Unknown, false},
		"accepted":                   {200, 403, 200, probe.Permitted, false},
		"unknown to both":            {501, 501, 501, probe.Unknown, true},
		"unknown to writing alone":   {501, 501, 200, probe.Unknown, false},
		"unknown, reading denied":    {501, 501, 403, probe.Unknown, false},
		"method not allowed":         {405, 405, 405, probe.Unknown, true},
		"broken":                     {500, 500, 501, probe.Unknown, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			a := answering(t, func(w http.ResponseWriter, r *http.Request) {
				status := tt.set
				switch {
				case r.Method == http.MethodGet:
					status = tt.get
				case r.Header.Get("Authorization") == "":
					status = tt.anonymous
				}
				codes := map[int]string{400: "MalformedXML", 403: "AccessDenied", 501: "NotImplemented", 405: "MethodNotAllowed", 500: "Broken"}
				say(w, status, codes[status], "")
			})
			if r := a.weigh(t.Context(), a.setLifecycle, a.readLifecycle); r.Answer != tt.want || r.Absent != tt.absent {
				t.Errorf("%+v", r)
			}
		})
	}
}

// TestAbsent holds that what a service does not have proves nothing and does not matter, where reading it is not there either; and that an overwrite which the
// store knows only without a condition is tried without one.
func TestAbsent(t *testing.T) {
	for name, tt := range map[string]struct {
		set, get int
		absent   bool
	}{"neither": {501, 501, true}, "reading is there": {501, 200, false}, "reading is denied": {501, 403, false}, "not allowed": {405, 405, true}, "broken": {500, 501, false}} {
		a := answering(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				say(w, tt.get, "Whatever", "")
				return
			}
			say(w, tt.set, "Whatever", "")
		})
		key := "v/packs/canary/x"
		for what, try := range map[string]func(context.Context, *string, probe.Canary) probe.Result{"tag": a.tag(false), "tag of a version": a.tag(true), "acl": a.acl(false), "acl of a version": a.acl(true), "hold": a.liftHold, "shorten": a.shorten(false)} {
			if r := try(t.Context(), &key, probe.Canary{}); r.Answer != probe.Unknown || r.Absent != tt.absent {
				t.Errorf("%s, %s: %+v", name, what, r)
			}
		}
		if r := a.overwriteIfMatch(t.Context(), &key, probe.Canary{}); r.Absent != (tt.set == 501) {
			t.Errorf("%s, overwrite under a condition: %+v", name, r)
		}
		if r := a.overwrite(t.Context(), &key, probe.Canary{}); r.Absent {
			t.Errorf("%s, overwrite: %+v", name, r)
		}
	}
	// A service that does not know the setting takes the request for the creation of the bucket, and what reads it for a listing.
	for _, status := range []int{200, 409} {
		a := answering(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				_, _ = w.Write([]byte(`<ListBucketResult><Name>bucket</Name></ListBucketResult>`))
				return
			}
			say(w, status, map[int]string{409: "BucketAlreadyOwnedByYou"}[status], "")
		})
		if r := a.weigh(t.Context(), a.setOwnership, a.readOwnership); r.Answer != probe.Unknown || !r.Absent {
			t.Errorf("HTTP %d: %+v", status, r)
		}
	}
}

// TestVersioningIsPutBack holds that a service that takes a status that does not exist for "off" is set right at once.
func TestVersioningIsPutBack(t *testing.T) {
	on := true
	a := answering(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			body, err := io.ReadAll(r.Body)
			on = err == nil && strings.Contains(string(body), "Enabled")
			return
		}
		if on {
			_, _ = w.Write([]byte(`<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>`))
			return
		}
		_, _ = w.Write([]byte(`<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>`))
	})
	if r := a.versioning(t.Context()); r.Answer != probe.Permitted || !on {
		t.Errorf("%+v, versioning is on: %v", r, on)
	}
}

func TestPrincipal(t *testing.T) {
	for arn, want := range map[string]string{
		"arn:aws:sts::1:assumed-role/agent/i-0abc":     "arn:aws:sts::1:assumed-role/agent",
		"arn:aws-cn:sts::1:assumed-role/agent/session": "arn:aws-cn:sts::1:assumed-role/agent",
		"arn:aws:iam::1:user/agent":                    "arn:aws:iam::1:user/agent",
		"arn:aws:iam::1:root":                          "arn:aws:iam::1:root",
	} {
		if got := withoutSession(arn); got != want {
			t.Errorf("%s is %s, want %s", arn, got, want)
		}
	}
	calls := 0
	caller := func(context.Context) (string, error) {
		calls++
		if calls == 1 {
			return "", errors.New("busy")
		}
		return "arn:aws:sts::1:assumed-role/agent/s", nil
	}
	var p principal
	for i, want := range []string{"", "arn:aws:sts::1:assumed-role/agent", "arn:aws:sts::1:assumed-role/agent"} {
		if got := p.ask(t.Context(), caller, "key"); got != want {
			t.Errorf("question %d: %q, want %q", i, got, want)
		}
	}
	if calls != 2 {
		t.Errorf("%d calls for one key", calls)
	}
	for token, want := range map[string]string{"": "key id", "session": "temporary key id"} {
		a, err := New(t.Context(), "s3://bucket?endpoint=http://127.0.0.1:1", s3client.Options{Credentials: credentials.NewStaticCredentialsProvider("id", "secret", token)})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := a.Principal(t.Context()); got != want || err != nil {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
	}
}
