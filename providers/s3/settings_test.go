package s3_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"farshore/providers"
	"farshore/providers/s3"
	"farshore/providers/servers"
)

func settings(t *testing.T, d *s3.Driver) providers.Settings {
	t.Helper()
	s, err := d.Settings(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestSettings holds what is told of buckets as they are made.
func TestSettings(t *testing.T) {
	for name, start := range map[string]func(testing.TB) servers.S3{"versity": servers.Versity, "minio": servers.MinIO} {
		t.Run(name, func(t *testing.T) {
			server := start(t)
			plain := server.Bucket(t)
			if s := settings(t, open(t, server, plain, "v")); s.Versioning != "off" || s.Lock || s.Mode != providers.LockNone || s.Unknown["versioning"]+s.Unknown["lock"] != "" {
				t.Errorf("a plain bucket: %+v", s)
			}
			setVersioning(t, server, plain, types.BucketVersioningStatusEnabled)
			if s := settings(t, open(t, server, plain, "v")); s.Versioning != "on" || s.Lock {
				t.Errorf("with versioning: %+v", s)
			}
			setVersioning(t, server, plain, types.BucketVersioningStatusSuspended)
			if s := settings(t, open(t, server, plain, "v")); s.Versioning != "suspended" {
				t.Errorf("suspended: %+v", s)
			}
			locked := server.Bucket(t, withLock)
			if s := settings(t, open(t, server, locked, "v")); s.Versioning != "on" || !s.Lock || s.Mode != providers.LockNone || s.Retention != 0 {
				t.Errorf("with Object Lock and no default: %+v", s)
			}
			for mode, r := range map[providers.LockMode]types.DefaultRetention{
				providers.Compliance: {Mode: types.ObjectLockRetentionModeCompliance, Days: aws.Int32(3)},
				providers.Governance: {Mode: types.ObjectLockRetentionModeGovernance, Years: aws.Int32(2)},
			} {
				setDefault(t, server, locked, r)
				want := map[providers.LockMode]time.Duration{providers.Compliance: 3 * 24 * time.Hour, providers.Governance: 2 * 365 * 24 * time.Hour}[mode]
				if s := settings(t, open(t, server, locked, "v")); !s.Lock || s.Mode != mode || s.Retention != want {
					t.Errorf("default %s: %+v", mode, s)
				}
			}
			_, err := open(t, server, "no-such-bucket-here", "v").Settings(t.Context())
			if providers.KindOf(err) != providers.NotFound {
				t.Errorf("no bucket: %v", err)
			}
		})
	}
}

func withLock(in *awss3.CreateBucketInput) { in.ObjectLockEnabledForBucket = aws.Bool(true) }

func setDefault(t *testing.T, server servers.S3, bucket string, r types.DefaultRetention) {
	t.Helper()
	_, err := server.Client(t).PutObjectLockConfiguration(t.Context(), &awss3.PutObjectLockConfigurationInput{
		Bucket: aws.String(bucket), ObjectLockConfiguration: &types.ObjectLockConfiguration{
			ObjectLockEnabled: types.ObjectLockEnabledEnabled, Rule: &types.ObjectLockRule{DefaultRetention: &r}},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestLocks holds what is told of objects' locks. VersityGW enforces a default retention that it does not show, so there it is no lock.
func TestLocks(t *testing.T) {
	for name, start := range map[string]func(testing.TB) servers.S3{"versity": servers.Versity, "minio": servers.MinIO} {
		t.Run(name, func(t *testing.T) {
			server := start(t)
			bucket, client := server.Bucket(t, withLock), server.Client(t)
			d := open(t, server, bucket, "v")
			until := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
			for mode, want := range map[types.ObjectLockRetentionMode]providers.LockMode{"": providers.LockNone, "COMPLIANCE": providers.Compliance, "GOVERNANCE": providers.Governance} {
				name := "packs/" + string(want) + "x"
				if err := create(d, name, []byte("x")); err != nil {
					t.Fatal(err)
				}
				expected := providers.Lock{Mode: want, Until: until}
				if mode == "" {
					expected.Until = time.Time{}
				} else if _, err := client.PutObjectRetention(t.Context(), &awss3.PutObjectRetentionInput{
					Bucket: aws.String(bucket), Key: aws.String("v/" + name), Retention: &types.ObjectLockRetention{Mode: mode, RetainUntilDate: &until}}); err != nil {
					t.Fatal(err)
				}
				n, err := providers.New(d, providers.Options{}).History(t.Context(), name)
				if err != nil {
					t.Fatal(err)
				}
				for _, id := range []string{"", n.ID} {
					if got, err := d.Lock(t.Context(), name, id); err != nil || !got.Until.Equal(expected.Until) || got.Mode != expected.Mode || got.Hold {
						t.Errorf("lock of version %q: %+v, %v; want %+v", id, got, err, expected)
					}
				}
			}
			name := "packs/held"
			if err := create(d, name, []byte("x")); err != nil {
				t.Fatal(err)
			}
			if _, err := client.PutObjectLegalHold(t.Context(), &awss3.PutObjectLegalHoldInput{
				Bucket: aws.String(bucket), Key: aws.String("v/" + name), LegalHold: &types.ObjectLockLegalHold{Status: types.ObjectLockLegalHoldStatusOn}}); err != nil {
				t.Fatal(err)
			}
			if got, err := d.Lock(t.Context(), name, ""); err != nil || !got.Hold || got.Mode != providers.LockNone {
				t.Errorf("under a legal hold: %+v, %v", got, err)
			}
			if _, err := d.Lock(t.Context(), "packs/none", ""); providers.KindOf(err) != providers.NotFound {
				t.Errorf("no object: %v", err)
			}
		})
	}
}

// TestDefaultLock holds that the default retention is told of each object, where the server tells it.
func TestDefaultLock(t *testing.T) {
	server := servers.MinIO(t)
	bucket := server.Bucket(t, withLock)
	setDefault(t, server, bucket, types.DefaultRetention{Mode: types.ObjectLockRetentionModeCompliance, Days: aws.Int32(3)})
	d := open(t, server, bucket, "v")
	if err := create(d, "packs/x", []byte("x")); err != nil {
		t.Fatal(err)
	}
	got, err := d.Lock(t.Context(), "packs/x", "")
	if left := time.Until(got.Until); err != nil || got.Mode != providers.Compliance || left < 71*time.Hour || left > 73*time.Hour {
		t.Errorf("%+v, %v; want three days of compliance", got, err)
	}
}

// TestLockWithoutObjectLock holds that an object of a bucket without Object Lock has none, and that this is no error.
func TestLockWithoutObjectLock(t *testing.T) {
	for name, start := range map[string]func(testing.TB) servers.S3{"versity": servers.Versity, "minio": servers.MinIO} {
		t.Run(name, func(t *testing.T) {
			server := start(t)
			d := open(t, server, server.Bucket(t), "v")
			if err := create(d, "packs/x", []byte("x")); err != nil {
				t.Fatal(err)
			}
			if got, err := d.Lock(t.Context(), "packs/x", ""); err != nil || got != (providers.Lock{}) {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

// TestRules holds which lifecycle rules are told: those that are in force and remove something.
func TestRules(t *testing.T) {
	const head = `<LifecycleConfiguration><Rule><ID>r</ID><Status>Enabled</Status>`
	day := 24 * time.Hour
	tests := map[string]struct {
		xml  string
		want *providers.Rule
		say  string
	}{
		"expire":           {`<Filter><Prefix>v/packs/</Prefix></Filter><Expiration><Days>3</Days></Expiration>`, &providers.Rule{Prefix: "v/packs/", Expire: aws.Duration(3 * day)}, ""},
		"old form":         {`<Prefix>v/</Prefix><Expiration><Days>1</Days></Expiration>`, &providers.Rule{Prefix: "v/", Expire: aws.Duration(day)}, ""},
		"everything":       {`<Filter></Filter><NoncurrentVersionExpiration><NoncurrentDays>7</NoncurrentDays></NoncurrentVersionExpiration>`, &providers.Rule{Noncurrent: aws.Duration(7 * day)}, ""},
		"by number":        {`<Filter></Filter><NoncurrentVersionExpiration><NewerNoncurrentVersions>2</NewerNoncurrentVersions></NoncurrentVersionExpiration>`, &providers.Rule{Noncurrent: aws.Duration(0)}, ""},
		"by date":          {`<Filter></Filter><Expiration><Date>2001-01-01T00:00:00Z</Date></Expiration>`, &providers.Rule{Expire: aws.Duration(0)}, ""},
		"tag":              {`<Filter><Tag><Key>k</Key><Value>v</Value></Tag></Filter><Expiration><Days>1</Days></Expiration>`, &providers.Rule{Expire: aws.Duration(day), Tagged: true}, ""},
		"tags and prefix":  {`<Filter><And><Prefix>p</Prefix><Tag><Key>k</Key><Value>v</Value></Tag></And></Filter><Expiration><Days>1</Days></Expiration>`, &providers.Rule{Prefix: "p", Expire: aws.Duration(day), Tagged: true}, ""},
		"size and prefix":  {`<Filter><And><Prefix>p</Prefix><ObjectSizeGreaterThan>5</ObjectSizeGreaterThan></And></Filter><Expiration><Days>1</Days></Expiration>`, &providers.Rule{Prefix: "p", Expire: aws.Duration(day)}, ""},
		"markers only":     {`<Filter></Filter><Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>`, nil, ""},
		"unfinished parts": {`<Filter></Filter><AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload>`, nil, ""},
	}
	for name, tt := range tests {
		for _, off := range []bool{false, true} {
			body := head + tt.xml + "</Rule></LifecycleConfiguration>"
			if off {
				body = strings.Replace(body, "Enabled", "Disabled", 1)
			}
			d := openStub(t, &stub{answer: func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Query().Has("lifecycle") {
					_, _ = io.WriteString(w, body) // a broken test connection shows in the driver
					return
				}
				answer(w, http.StatusForbidden, "AccessDenied")
			}})
			s := settings(t, d)
			var want []providers.Rule
			if tt.want != nil && !off {
				tt.want.ID = "r"
				want = []providers.Rule{*tt.want}
			}
			if got := shown(s.Rules); got != shown(want) {
				t.Errorf("%s, off %v: %s, want %s", name, off, got, shown(want))
			}
			if s.Unknown["rules"] != "" || !strings.Contains(s.Unknown["versioning"], "AccessDenied") || !strings.Contains(s.Unknown["lock"], "access denied") {
				t.Errorf("%s: unknown %q", name, s.Unknown)
			}
		}
	}
}

func shown(rules []providers.Rule) string {
	var b strings.Builder
	age := func(d *time.Duration) string {
		if d == nil {
			return "never"
		}
		return d.String()
	}
	for _, r := range rules {
		fmt.Fprintf(&b, "%s %q expire %s noncurrent %s tagged %v;", r.ID, r.Prefix, age(r.Expire), age(r.Noncurrent), r.Tagged)
	}
	return b.String()
}

// TestSettingsFail holds that what may be told the next time is an error, and what will not be is unknown.
func TestSettingsFail(t *testing.T) {
	tests := []struct {
		status int
		code   string
		kind   providers.Kind // Other: no error
	}{
		{403, "AccessDenied", providers.Other}, {501, "NotImplemented", providers.Other}, {405, "MethodNotAllowed", providers.Other},
		{400, "InvalidArgument", providers.Other}, {404, "NoSuchConfiguration", providers.Other},
		{404, "NoSuchBucket", providers.NotFound}, {503, "SlowDown", providers.Throttled}, {500, "InternalError", providers.Temporary},
		{403, "InvalidAccessKeyId", providers.Unauthenticated},
	}
	for _, tt := range tests {
		d := openStub(t, &stub{answer: func(w http.ResponseWriter, r *http.Request) { answer(w, tt.status, tt.code) }})
		s, err := d.Settings(t.Context())
		if (err != nil) != (tt.kind != providers.Other) || providers.KindOf(err) != tt.kind {
			t.Errorf("%d %s: %v, want kind %q", tt.status, tt.code, err, tt.kind)
		}
		if err == nil && (len(s.Unknown) != 3 || s.Versioning != "") {
			t.Errorf("%d %s: %+v; want nothing known", tt.status, tt.code, s)
		}
	}
}

// TestSightOfServices holds what is made of services that can't list versions, or don't want to.
func TestSightOfServices(t *testing.T) {
	listing := func(root, entry string) func(w http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			_, _ = fmt.Fprintf(w, "<%s><IsTruncated>false</IsTruncated>%s</%[1]s>", root, entry) // as above
		}
	}
	object := listing("ListBucketResult", "<Contents><Key>packs/x</Key><Size>1</Size></Contents>")
	tests := map[string]struct {
		versions, objects func(w http.ResponseWriter)
		want              providers.Sight
	}{
		"denied":     {func(w http.ResponseWriter) { answer(w, 403, "AccessDenied") }, object, providers.SightDenied},
		"unknown":    {func(w http.ResponseWriter) { answer(w, 501, "NotImplemented") }, object, providers.SightNone},
		"other list": {object, object, providers.SightNone},
		"no marker": {listing("ListVersionsResult", "<IsTruncated>true</IsTruncated><Version><Key>packs/x</Key><VersionId>1</VersionId><IsLatest>true</IsLatest></Version>"),
			object, providers.SightNone},
		"versions": {listing("ListVersionsResult", "<Version><Key>packs/x</Key><VersionId>1</VersionId><IsLatest>true</IsLatest></Version>"), object, providers.SightSeen},
		"empty":    {listing("ListVersionsResult", ""), listing("ListBucketResult", ""), providers.SightSeen},
	}
	for name, tt := range tests {
		d := openStub(t, &stub{answer: func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Has("versions") {
				tt.versions(w)
			} else {
				tt.objects(w)
			}
		}})
		b := providers.New(d, providers.Options{})
		if got, err := b.Sight(t.Context()); got != tt.want || err != nil {
			t.Errorf("%s: %q, %v; want %q", name, got, err, tt.want)
		}
		for n, err := range b.Names(t.Context(), "packs/", "") {
			if err != nil || n.Name != "packs/x" || !n.Plain() {
				t.Errorf("%s: Names yields %+v, %v", name, n, err)
			}
		}
	}
}

// TestDeniedVersions holds a real server to the same.
func TestDeniedVersions(t *testing.T) {
	server := servers.Versity(t)
	guest, _ := server.Guest()
	bucket := versioned(t, server)
	if err := create(open(t, server, bucket, "v"), "packs/x", []byte("x")); err != nil {
		t.Fatal(err)
	}
	policy := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":["%s"]},"Action":["s3:GetObject","s3:ListBucket"],"Resource":["arn:aws:s3:::%s","arn:aws:s3:::%[2]s/*"]}]}`, guest.AccessKey, bucket)
	if _, err := server.Client(t).PutBucketPolicy(t.Context(), &awss3.PutBucketPolicyInput{Bucket: &bucket, Policy: &policy}); err != nil {
		t.Fatal(err)
	}
	d := open(t, guest, bucket, "v")
	b := providers.New(d, providers.Options{})
	if got, err := b.Sight(t.Context()); got != providers.SightDenied || err != nil {
		t.Errorf("Sight: %q, %v", got, err)
	}
	n, err := b.History(t.Context(), "packs/x")
	if err != nil || !n.Plain() || n.ID != "" {
		t.Errorf("History: %+v, %v", n, err)
	}
	s, err := b.Settings(t.Context())
	if err != nil || !slices.Contains([]int{2, 3}, len(s.Unknown)) || !strings.Contains(s.Unknown["versioning"], "AccessDenied") {
		t.Errorf("Settings: %+v, %v", s, err)
	}
}

// TestVersionRequests holds the driver to one error that lasts, where a service makes no sense, and to the owner as the author.
func TestVersionRequests(t *testing.T) {
	const entry = "<Version><Key>a</Key><VersionId>1</VersionId><IsLatest>true</IsLatest><Owner><ID>id-of-owner</ID></Owner></Version>"
	var asked int
	d := openStub(t, &stub{answer: func(w http.ResponseWriter, r *http.Request) {
		asked++
		_, _ = io.WriteString(w, "<ListVersionsResult><IsTruncated>true</IsTruncated><NextKeyMarker>a</NextKeyMarker><NextVersionIdMarker>1</NextVersionIdMarker>"+entry+"</ListVersionsResult>")
	}})
	page, next, more, err := d.Versions(context.Background(), "", providers.Mark{}, 10)
	if err != nil || !more || len(page) != 1 || page[0].By != "id-of-owner" {
		t.Fatalf("%+v, %v, %v", page, more, err)
	}
	if _, _, _, err := d.Versions(context.Background(), "", next, 10); err == nil || providers.Retryable(err) || asked != 2 {
		t.Errorf("a service that repeats a page: %v after %d requests; want a lasting error after 2", err, asked)
	}
	if page, _, more, err := d.Versions(context.Background(), "b", providers.Mark{Name: "c"}, 10); err != nil || more || len(page) != 0 || asked != 2 {
		t.Errorf("behind the prefix: %v, %v, %v", page, more, err)
	}
}

// TestVersionOrder holds that versions and markers of one second are in the order in which the service sent them, and those of a service that sends them apart in that of their times.
func TestVersionOrder(t *testing.T) {
	entry := func(kind, key, id, latest, second string) string {
		return fmt.Sprintf("<%s><Key>%s</Key><VersionId>%s</VersionId><IsLatest>%s</IsLatest><LastModified>2026-01-01T00:00:%sZ</LastModified></%[1]s>", kind, key, id, latest, second)
	}
	const v, m = "Version", "DeleteMarker"
	tests := map[string]struct {
		sent []string
		want string
	}{
		"interleaved": {[]string{entry(m, "a", "5", "true", "01"), entry(v, "a", "4", "false", "01"), entry(v, "a", "3", "false", "01"), entry(m, "a", "2", "false", "01"), entry(v, "a", "1", "false", "01"),
			entry(v, "b", "2", "true", "01"), entry(m, "b", "1", "false", "01")}, "a5 a4 a3 a2 a1 b2 b1"},
		"markers first": {[]string{entry(m, "a", "2", "false", "02"), entry(m, "b", "2", "true", "02"), entry(v, "a", "3", "true", "03"), entry(v, "a", "1", "false", "01"), entry(v, "b", "1", "false", "01"),
			entry(v, "c", "1", "true", "01")}, "a3 a2 a1 b2 b1 c1"},
		"one second, current last": {[]string{entry(m, "a", "1", "false", "01"), entry(v, "a", "2", "true", "01")}, "a2 a1"},
		"folders":                  {[]string{entry(v, "", "0", "true", "01"), entry(v, "a/", "1", "true", "01"), entry(v, "a/b", "1", "true", "01")}, "a/b1"},
	}
	for name, tt := range tests {
		d := openStub(t, &stub{answer: func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "<ListVersionsResult><IsTruncated>false</IsTruncated>"+strings.Join(tt.sent, "")+"</ListVersionsResult>") // as above
		}})
		page, _, _, err := d.Versions(t.Context(), "", providers.Mark{}, 100)
		var got []string
		for _, e := range page {
			got = append(got, e.Name+e.ID)
		}
		if s := strings.Join(got, " "); err != nil || s != tt.want {
			t.Errorf("%s: %s, %v; want %s", name, s, err, tt.want)
		}
	}
}

// TestOwnMarkers holds that a service gets its own markers back, which need not be a listed key and its version.
func TestOwnMarkers(t *testing.T) {
	var got []string
	d := openStub(t, &stub{answer: func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		got = append(got, q.Get("key-marker")+" "+q.Get("version-id-marker"))
		_, _ = fmt.Fprintf(w, "<ListVersionsResult><EncodingType>url</EncodingType><IsTruncated>%v</IsTruncated><NextKeyMarker>a%%5Bcache%%3A1%%5D</NextKeyMarker><NextVersionIdMarker>n%d</NextVersionIdMarker>"+
			"<Version><Key>a</Key><VersionId>v%[2]d</VersionId></Version></ListVersionsResult>", len(got) < 3, len(got)) // as above
	}})
	n := 0
	for mark, more := (providers.Mark{}), true; more && n < 5; n++ {
		var page []providers.Version
		var err error
		if page, mark, more, err = d.Versions(t.Context(), "", mark, 100); err != nil || len(page) != 1 || more && mark.Name != "a" {
			t.Fatalf("%+v, %+v, %v", page, mark, err)
		}
	}
	if want := []string{" ", "a[cache:1] n1", "a[cache:1] n2"}; !slices.Equal(got, want) {
		t.Errorf("asked behind %q, want %q", got, want)
	}
}
