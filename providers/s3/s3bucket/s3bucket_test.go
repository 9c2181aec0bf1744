package s3bucket

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"farshore/providers/s3/s3client"
	"farshore/providers/servers"
)

// spied is a service that notes requests and answers each with what is set for it, or 200.
type spied struct {
	mu      sync.Mutex
	seen    []string // "PUT ?object-lock"
	bodies  map[string]string
	answers map[string][]int // statuses in turn, the last one again and again
}

func (s *spied) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	what := r.Method
	for _, q := range []string{"object-lock", "publicAccessBlock", "ownershipControls"} {
		if r.URL.Query().Has(q) {
			what += " ?" + q
		}
	}
	s.seen = append(s.seen, what)
	body, _ := io.ReadAll(r.Body) // a short one shows in the test
	s.bodies[what] = string(body) + r.Header.Get("x-amz-bucket-object-lock-enabled")
	status := http.StatusOK
	if all := s.answers[what]; len(all) > 0 {
		status = all[0]
		if len(all) > 1 {
			s.answers[what] = all[1:]
		}
	}
	w.WriteHeader(status)
	if status >= 400 && r.Method != http.MethodHead {
		_, _ = fmt.Fprintf(w, "<Error><Code>%s</Code><Message>no</Message></Error>", map[int]string{403: "AccessDenied", 404: "NoSuchBucket", 409: "BucketAlreadyOwnedByYou", 501: "NotImplemented"}[status])
	}
}

func create(t *testing.T, s *spied, query string, retention time.Duration) (*Made, error) {
	t.Helper()
	if s.bodies == nil {
		s.bodies = map[string]string{}
	}
	server := httptest.NewServer(s)
	defer server.Close()
	o := s3client.Options{Credentials: credentials.NewStaticCredentialsProvider("id", "secret", "")}
	return Create(t.Context(), "s3://offsite/vault?endpoint="+server.URL+query, o, Spec{retention})
}

var absent = map[string][]int{"HEAD": {404}}

func with(more map[string][]int) map[string][]int {
	out := map[string][]int{"HEAD": {404}}
	for k, v := range more {
		out[k] = v
	}
	return out
}

func TestCreateAsksForAll(t *testing.T) {
	for query, location := range map[string]string{"&region=us-east-1": "", "&region=eu-west-3": "eu-west-3", "": ""} {
		s := &spied{answers: absent}
		made, err := create(t, s, query, 45*day)
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"HEAD", "PUT", "PUT ?object-lock", "PUT ?publicAccessBlock", "PUT ?ownershipControls"}
		if !slices.Equal(s.seen, want) {
			t.Errorf("%q: requests %q, want %q", query, s.seen, want)
		}
		if got := s.bodies["PUT"]; !strings.HasSuffix(got, "true") || strings.Contains(got, "LocationConstraint") != (location != "") || !strings.Contains(got, location) {
			t.Errorf("%q: the bucket was asked for with %q", query, got)
		}
		var lock struct {
			Enabled string `xml:"ObjectLockEnabled"`
			Mode    string `xml:"Rule>DefaultRetention>Mode"`
			Days    int    `xml:"Rule>DefaultRetention>Days"`
		}
		if err := xml.Unmarshal([]byte(s.bodies["PUT ?object-lock"]), &lock); err != nil || lock.Enabled != "Enabled" || lock.Mode != "COMPLIANCE" || lock.Days != 45 {
			t.Errorf("lock %+v, %v", lock, err)
		}
		if got := s.bodies["PUT ?publicAccessBlock"]; strings.Count(got, ">true<") != 4 {
			t.Errorf("public access: %q", got)
		}
		if got := s.bodies["PUT ?ownershipControls"]; !strings.Contains(got, "BucketOwnerEnforced") {
			t.Errorf("ownership: %q", got)
		}
		if made.Bucket != "offsite" || made.Region != location || made.PublicAccess != "blocked" || made.Ownership != "enforced" {
			t.Errorf("made %+v", made)
		}
	}
}

func TestCreateRefuses(t *testing.T) {
	tests := map[string]struct {
		answers map[string][]int
		want    string
		exists  bool
		partial bool
		most    int // requests
	}{
		"it exists":                {map[string][]int{"HEAD": {200}}, "exists already", true, false, 1},
		"it exists elsewhere":      {map[string][]int{"HEAD": {301}}, "another region", true, false, 1},
		"it is somebody else's":    {map[string][]int{"HEAD": {403}}, "can't be told", false, false, 1},
		"it came to be meanwhile":  {with(map[string][]int{"PUT": {409}}), "exists already", true, false, 2},
		"it may not be made":       {with(map[string][]int{"PUT": {403}}), "AccessDenied", false, false, 2},
		"it knows no locks":        {with(map[string][]int{"PUT": {501}}), "makes no buckets with Object Lock: NotImplemented", false, false, 2},
		"the answer is lost":       {with(map[string][]int{"PUT": {500}}), "it may exist all the same", false, false, 2},
		"the lock is refused":      {with(map[string][]int{"PUT ?object-lock": {403}}), "its new objects get no lock, since the default retention of 45 days was not set: AccessDenied", false, true, 3},
		"public access is refused": {with(map[string][]int{"PUT ?publicAccessBlock": {403}}), "public access was not blocked", false, true, 4},
		"ownership is refused":     {with(map[string][]int{"PUT ?ownershipControls": {403}}), "objects of other accounts", false, true, 5},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := &spied{answers: tt.answers}
			made, err := create(t, s, "", 45*day)
			var partial *PartialError
			if err == nil || made != nil || !strings.Contains(err.Error(), tt.want) || errors.Is(err, ErrExists) != tt.exists || errors.As(err, &partial) != tt.partial {
				t.Fatalf("%+v, %v; want an error with %q", made, err, tt.want)
			}
			if tt.partial && !strings.Contains(err.Error(), "nothing was removed") {
				t.Errorf("the error does not say that nothing was removed: %v", err)
			}
			if len(s.seen) > tt.most {
				t.Errorf("requests %q", s.seen)
			}
			if slices.ContainsFunc(s.seen, func(r string) bool { return strings.HasPrefix(r, "DELETE") }) {
				t.Errorf("something was deleted: %q", s.seen)
			}
		})
	}
}

// TestCreateWhereSettingsAreUnknown is a service that knows no public access and no ownership.
func TestCreateWhereSettingsAreUnknown(t *testing.T) {
	s := &spied{answers: with(map[string][]int{"PUT ?publicAccessBlock": {501}, "PUT ?ownershipControls": {400}})}
	made, err := create(t, s, "", day)
	if err != nil || !strings.Contains(made.PublicAccess, "not known") || !strings.Contains(made.Ownership, "not known") {
		t.Fatalf("%+v, %v", made, err)
	}
}

// TestSettingsAreTriedAgain is a service that does not know its new bucket everywhere yet.
func TestSettingsAreTriedAgain(t *testing.T) {
	tests := map[string]struct {
		answers []int
		ok      bool
		want    int
	}{
		"it passes":        {[]int{404, 503, 200}, true, 3},
		"it does not":      {[]int{503}, false, attempts},
		"it is no bad day": {[]int{403}, false, 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			n := 0
			m := &maker{pause: time.Nanosecond}
			s := &spied{answers: map[string][]int{"PUT ?object-lock": tt.answers}, bodies: map[string]string{}}
			server := httptest.NewServer(s)
			defer server.Close()
			at, err := s3client.Parse("s3://offsite?endpoint=" + server.URL)
			if err != nil {
				t.Fatal(err)
			}
			if m.client, err = at.New(t.Context(), s3client.Options{Credentials: credentials.NewStaticCredentialsProvider("id", "secret", "")}); err != nil {
				t.Fatal(err)
			}
			m.bucket = aws.String("offsite")
			err = m.lock(t.Context(), Spec{day})
			n = len(s.seen)
			if (err == nil) != tt.ok || n != tt.want {
				t.Errorf("%v after %d requests, want %d", err, n, tt.want)
			}
		})
	}
}

func TestSpec(t *testing.T) {
	for _, d := range []time.Duration{0, -day, time.Hour, 36 * time.Hour, MaxRetention + day} {
		s := &spied{answers: absent}
		if _, err := create(t, s, "", d); err == nil || len(s.seen) > 0 {
			t.Errorf("%v: error %v, requests %q", d, err, s.seen)
		}
	}
}

// TestCreateAtMinIO holds a real server's new bucket to what was asked for: a version in it can't be removed by its own administrator.
func TestCreateAtMinIO(t *testing.T) {
	s := servers.MinIO(t)
	o := s3client.Options{Credentials: s.Credentials()}
	url := s.URL("offsite-made", "vault")
	made, err := Create(t.Context(), url, o, Spec{45 * day})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", made)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	client, bucket := s.Client(t), aws.String("offsite-made")
	versioning, err := client.GetBucketVersioning(ctx, &awss3.GetBucketVersioningInput{Bucket: bucket})
	if err != nil || versioning.Status != types.BucketVersioningStatusEnabled {
		t.Fatalf("versioning %v, %v", versioning, err)
	}
	put, err := client.PutObject(ctx, &awss3.PutObjectInput{Bucket: bucket, Key: aws.String("vault/x"), Body: strings.NewReader("x")})
	if err != nil {
		t.Fatal(err)
	}
	head, err := client.HeadObject(ctx, &awss3.HeadObjectInput{Bucket: bucket, Key: aws.String("vault/x")})
	if err != nil || head.ObjectLockMode != types.ObjectLockModeCompliance {
		t.Fatalf("%+v, %v", head, err)
	}
	if left := time.Until(aws.ToTime(head.ObjectLockRetainUntilDate)); left < 44*day || left > 46*day {
		t.Errorf("locked for %v", left)
	}
	_, err = client.DeleteObject(ctx, &awss3.DeleteObjectInput{
		Bucket: bucket, Key: aws.String("vault/x"), VersionId: put.VersionId, BypassGovernanceRetention: aws.Bool(true),
	})
	if err == nil {
		t.Error("the administrator removed a version that is locked")
	}
	if _, err := Create(t.Context(), url, o, Spec{1 * day}); !errors.Is(err, ErrExists) {
		t.Errorf("a second time: %v", err)
	}
	again, err := client.GetObjectLockConfiguration(ctx, &awss3.GetObjectLockConfigurationInput{Bucket: bucket})
	if err != nil || aws.ToInt32(again.ObjectLockConfiguration.Rule.DefaultRetention.Days) != 45 {
		t.Errorf("the existing bucket was changed: %+v, %v", again, err)
	}
}
