package bucket_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"farshore/agent/source/bucket"
)

// settings holds what a source says of its bucket's own settings while these change.
func settings(t *testing.T, name string, p place) {
	if name == "fake" {
		t.Skip("it has no settings")
	}
	src := p.source(t, prefix("data/"))
	get := func(before [][]byte) [][]byte {
		t.Helper()
		now, err := src.Settings(t.Context(), before)
		if err != nil {
			t.Fatal(err)
		}
		return now
	}
	first := get(nil)
	if again := get(first); string(joined(again)) != string(joined(first)) {
		t.Errorf("nothing changed, and %s became %s", joined(first), joined(again))
	}
	t.Logf("%s", joined(first))
	last := first
	step := func(what string, alarm string, change func() error) {
		t.Helper()
		if err := change(); err != nil {
			if name == "minio" {
				t.Errorf("%s: %v", what, err)
			}
			return
		}
		now := get(last)
		alarms, _ := src.Worse(last, now)
		if got := strings.Join(alarms, "; "); (got == "") != (alarm == "") || !strings.Contains(got, alarm) {
			t.Errorf("%s: alarms %q, want %q (%s)", what, got, alarm, joined(now))
		}
		last = now
	}
	expire := func(prefix string, days int32) func() error {
		return func() error {
			_, err := p.client.PutBucketLifecycleConfiguration(t.Context(), &s3.PutBucketLifecycleConfigurationInput{
				Bucket: &p.bucket, LifecycleConfiguration: &types.BucketLifecycleConfiguration{Rules: []types.LifecycleRule{{
					ID: aws.String("r"), Status: types.ExpirationStatusEnabled, Filter: &types.LifecycleRuleFilter{Prefix: &prefix}, Expiration: &types.LifecycleExpiration{Days: &days},
				}}},
			})
			return err
		}
	}
	version := func(status types.BucketVersioningStatus) func() error {
		return func() error {
			_, err := p.client.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{Bucket: &p.bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: status}})
			return err
		}
	}
	policy := func(statements string) func() error {
		return func() error {
			_, err := p.client.PutBucketPolicy(t.Context(), &s3.PutBucketPolicyInput{Bucket: &p.bucket, Policy: aws.String(`{"Version":"2012-10-17","Statement":[` + strings.ReplaceAll(statements, "BUCKET", p.bucket) + `]}`)})
			return err
		}
	}
	step("a lifecycle for others", "", expire("other/", 1))
	step("a lifecycle", "lifecycle", expire("data/old/", 30))
	step("a milder one", "", expire("data/old/", 60))
	step("a harsher one", "lifecycle", expire("data/old/", 7))
	step("a wider one", "lifecycle", expire("", 7))
	step("versions", "", version(types.BucketVersioningStatusEnabled))
	step("no versions any more", "versioning", version(types.BucketVersioningStatusSuspended))
	step("a policy that shows", "shows", policy(`{"Effect":"Allow","Principal":{"AWS":["*"]},"Action":["s3:GetObject"],"Resource":["arn:aws:s3:::BUCKET/*"]}`))
	step("a policy that destroys", "delete", policy(`{"Effect":"Allow","Principal":{"AWS":["*"]},"Action":["s3:GetObject"],"Resource":["arn:aws:s3:::BUCKET/*"]},`+
		`{"Effect":"Allow","Principal":{"AWS":["*"]},"Action":["s3:DeleteObject"],"Resource":["arn:aws:s3:::BUCKET/*"]}`))
	step("no policy", "", func() error {
		_, err := p.client.DeleteBucketPolicy(t.Context(), &s3.DeleteBucketPolicyInput{Bucket: &p.bucket})
		return err
	})
}

func joined(lines [][]byte) (out []byte) {
	for _, l := range lines {
		out = append(append(out, l...), '\n')
	}
	return out
}

// TestWorse compares settings that were read, and those that were not.
func TestWorse(t *testing.T) {
	src := place{}.offline(t)
	lines := func(s ...string) (out [][]byte) {
		for _, l := range s {
			out = append(out, []byte(l))
		}
		return out
	}
	for _, x := range []struct {
		name          string
		before, now   [][]byte
		alarm, notice string
	}{
		{"nothing known", nil, lines(`{"setting":"versioning","value":false}`), "", ""},
		{"nothing known now", lines(`{"setting":"versioning","value":true}`), nil, "", ""},
		{"off", lines(`{"setting":"versioning","value":true}`), lines(`{"setting":"versioning","value":false}`), "versioning", ""},
		{"on", lines(`{"setting":"versioning","value":false}`), lines(`{"setting":"versioning","value":true}`), "", "versioning"},
		{"never read", lines(`{"setting":"policy","unread":"AccessDenied"}`), lines(`{"setting":"policy","unread":"AccessDenied"}`), "", ""},
		{"no longer read", lines(`{"setting":"versioning","value":true}`), lines(`{"setting":"versioning","value":true,"unread":"AccessDenied"}`), "", "can't be read any more"},
		{"still not read", lines(`{"setting":"versioning","value":true,"unread":"AccessDenied"}`), lines(`{"setting":"versioning","value":true,"unread":"AccessDenied"}`), "", ""},
		{"read again", lines(`{"setting":"versioning","value":true,"unread":"AccessDenied"}`), lines(`{"setting":"versioning","value":false}`), "versioning", ""},
		{"public", lines(`{"setting":"public-access","value":[true,true,true,true]}`), lines(`{"setting":"public-access","value":[true,true,true,false]}`), "public", ""},
		{"less public", lines(`{"setting":"public-access","value":[false,true,true,true]}`), lines(`{"setting":"public-access","value":[true,true,true,true]}`), "", "public"},
		{"forbids less", lines(`{"setting":"policy","value":{"denies":["a","b"]}}`), lines(`{"setting":"policy","value":{"denies":["a"]}}`), "forbids", ""},
		{"policy of no harm", lines(`{"setting":"policy","value":{}}`), lines(`{"setting":"policy","value":{"others":["a"]}}`), "", "policy"},
		{"garbage", lines(`x`, `{"setting":"policy","value":7}`), lines(`{"setting":"policy","value":[]}`, ``), "", "policy"},
	} {
		alarms, notices := src.Worse(x.before, x.now)
		for what, pair := range map[string][2]string{"alarms": {strings.Join(alarms, ";"), x.alarm}, "notices": {strings.Join(notices, ";"), x.notice}} {
			if (pair[0] == "") != (pair[1] == "") || !strings.Contains(pair[0], pair[1]) {
				t.Errorf("%s: %s %q, want %q", x.name, what, pair[0], pair[1])
			}
		}
	}
}

// TestSettingsOffline asks a store that does not answer: nothing is known, and what was known stays.
func TestSettingsOffline(t *testing.T) {
	src := place{}.offline(t)
	now, err := src.Settings(t.Context(), nil)
	if err != nil || strings.Count(string(joined(now)), `"unread":"no answer"`) != 4 {
		t.Errorf("%v %s", err, joined(now))
	}
	before := [][]byte{[]byte(`{"setting":"versioning","value":true}`)}
	now, err = src.Settings(t.Context(), before)
	if err != nil || !strings.Contains(string(joined(now)), string(before[0])) {
		t.Errorf("%v %s", err, joined(now))
	}
	if alarms, notices := src.Worse(before, now); len(alarms)+len(notices) > 0 {
		t.Errorf("%v %v", alarms, notices)
	}
}

// offline is a source whose store does not answer.
func (p place) offline(t *testing.T) *bucket.Source {
	t.Helper()
	p.S3.Endpoint, p.S3.Region, p.bucket = "http://127.0.0.1:1", "us-east-1", "b"
	p.client = p.S3.Client(t)
	return p.source(t)
}
