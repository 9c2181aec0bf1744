package main

import (
	"context"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"farshore/providers"
	"farshore/providers/servers"
)

// lockRig is a machine without anything yet, with a bucket of sources and a vault's address at MinIO.
func lockRig(t *testing.T, options ...func(*s3.CreateBucketInput)) (r *rig, vault string) {
	t.Helper()
	r = &rig{t: t, dir: t.TempDir(), server: servers.MinIO(t)}
	r.client, r.bucket = r.server.Client(t), r.server.Bucket(t)
	setAWS(t, r.server)
	t.Chdir(r.dir)
	if len(options) == 0 {
		return r, r.server.URL("offsite", "vault")
	}
	return r, r.server.URL(r.server.Bucket(t, options...), "vault")
}

// settle changes the configuration: lines that begin with a key are replaced.
func (r *rig) settle(lines ...string) {
	r.t.Helper()
	b, err := os.ReadFile("farshore.yaml")
	if err != nil {
		r.t.Fatal(err)
	}
	var out []string
	for _, old := range strings.Split(string(b), "\n") {
		keep := true
		for _, l := range lines {
			key, _, _ := strings.Cut(l, ":")
			keep = keep && !strings.HasPrefix(old, key+":")
		}
		if keep {
			out = append(out, old)
		}
	}
	if err := os.WriteFile("farshore.yaml", []byte(strings.Join(append(lines, out...), "\n")), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

// TestInitCreatesTheBucket makes the bucket, replicates into it with min_lock_left, and shows the locks.
func TestInitCreatesTheBucket(t *testing.T) {
	r, vault := lockRig(t)
	init := []string{"init", "--create-bucket", "--vault", vault, "--config", "farshore.yaml", "--kit", "kit"}
	r.ok(init...).says("The bucket offsite was made", "each new object is locked for 45d: nobody can remove it before", "versioning is on",
		"must not stay on this machine", "farshore policy --role writer")
	r.run("init", "--create-bucket", "--vault", vault, "--config", "other/farshore.yaml", "--kit", "other/kit").ends(exitUsage).
		warns("the bucket exists already", "leave --create-bucket out")
	if _, err := os.Stat("other"); err == nil {
		t.Error("the refused init left a kit")
	}
	r.put(map[string]string{"a": "alpha", "b": "beta"})
	r.ok("source", "add", "shop", r.url())
	r.settle("require: none")
	r.ok("locks").says("no snapshots yet", "each new object is locked for 45d")
	r.settle("min_lock_left: 30d")
	r.ok("replicate").says("2 new")
	r.ok("locks").says("shop@2", "the first lock ends 2", "days left): ", "packs and pages", "commits and statements").lacks("not locked", "MISSING")

	var got locksResult
	r.json(&got, "locks", "shop")
	if len(got.Sources) != 1 || got.MinLockLeft != "30d" || got.Bucket.Retention != "45d" || got.Bucket.Mode != string(providers.Compliance) {
		t.Fatalf("%+v", got)
	}
	c := got.Sources[0].Contents
	if left := time.Until(c.First); c.Needed < 5 || c.Asked != c.Needed || c.Locked != c.Needed || left < 44*24*time.Hour || left > 45*24*time.Hour+time.Minute {
		t.Errorf("contents %+v", c)
	}
	if k := got.Sources[0].Commits; k.Locked != 3 || k.Needed != 3 {
		t.Errorf("commits %+v; want the statement and two commits", k)
	}
	r.run("locks", "shpo").ends(exitUsage).warns(`no source named "shpo"`)

	r.settle("min_lock_left: 45d")
	r.run("replicate").ends(exitUsage).warns("each pass would store everything anew", "less than the bucket's default retention")
	r.settle("min_lock_left: 400d")
	r.ok("locks").warns("not all that it needs is locked for min_lock_left (400d)")

	// Without its key a reader sees the locks all the same.
	if err := os.Rename("keys/metadata.key", "keys/elsewhere"); err != nil {
		t.Fatal(err)
	}
	var blind locksResult
	r.json(&blind, "locks")
	if len(blind.Sources) != 1 || blind.Sources[0].Source != "" || blind.Sources[0].Contents.Locked != c.Locked {
		t.Errorf("without a key: %+v", blind.Sources)
	}
}

// TestLocksOfWhatIsGone removes a pack for good and a lock, in a bucket that has none of its own.
func TestLocksOfWhatIsGone(t *testing.T) {
	r, vault := lockRig(t, func(in *s3.CreateBucketInput) { in.ObjectLockEnabledForBucket = aws.Bool(true) })
	r.ok("init", "--vault", vault, "--config", "farshore.yaml", "--kit", "kit").
		says("Object Lock is enabled, and gives new objects no lock: what keeps the vault is the credential alone").lacks("administrator")
	r.put(map[string]string{"a": "alpha"})
	r.ok("source", "add", "shop", r.url())
	r.settle("require: none", "min_lock_left: 30d")
	r.run("replicate").ends(exitUsage).warns("gives new objects no lock of their own", "remove min_lock_left")
	r.settle("require: none", "min_lock_left: 0")
	r.ok("replicate")
	r.ok("locks").says("without a lock", "nothing has a lock that binds")

	bucket := strings.SplitN(strings.TrimPrefix(vault, "s3://"), "/", 2)[0]
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	list, err := r.client.ListObjectVersions(ctx, &s3.ListObjectVersionsInput{Bucket: &bucket, Prefix: aws.String("vault/packs/")})
	if err != nil || len(list.Versions) == 0 {
		t.Fatal(list, err)
	}
	pack := list.Versions[0]
	// Hidden by a marker and overwritten, it counts as the original does; removed, it is missing.
	if _, err := r.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &bucket, Key: pack.Key}); err != nil {
		t.Fatal(err)
	}
	_, err = r.client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &bucket, Key: pack.Key, Body: strings.NewReader("junk"),
		ObjectLockMode: types.ObjectLockModeCompliance, ObjectLockRetainUntilDate: aws.Time(time.Now().Add(24 * time.Hour)),
	})
	if err != nil {
		t.Fatal(err)
	}
	var got locksResult
	r.json(&got, "locks")
	if c := got.Sources[0].Contents; c.Locked != 0 || c.Missing != 0 || c.Unlocked != c.Asked {
		t.Errorf("with junk over a pack: %+v", c)
	}
	if _, err := r.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &bucket, Key: pack.Key, VersionId: pack.VersionId}); err != nil {
		t.Fatal(err)
	}
	r.run("locks").ends(exitDamage).says("1 MISSING").warns("1 object that it needs is not there as stored", "farshore verify")
}

// TestLocksOfADirectory holds a store that knows no locks to be told apart from one whose objects are not locked.
func TestLocksOfADirectory(t *testing.T) {
	r := newShop(t)
	r.ok("replicate")
	r.run("locks").ends(exitIncomplete).says("not told", "not known", "could not be read").warns("the store does not tell the lock", "the credential alone")
	r.settle("min_lock_left: 30d")
	r.run("replicate").ends(exitFailed).warns("when locks end can't be read", "remove min_lock_left")
}

func TestInitBucketFlags(t *testing.T) {
	tests := map[string]struct {
		args []string
		want []string
	}{
		"not s3":             {[]string{"--create-bucket", "--vault", "gs://offsite/vault"}, []string{"makes S3 buckets only", "farshore policy"}},
		"retention alone":    {[]string{"--retention", "45d", "--vault", "s3://offsite/vault"}, []string{"--retention is for --create-bucket"}},
		"no retention":       {[]string{"--create-bucket", "--retention", "0d", "--vault", "s3://offsite/vault"}, []string{"not from 1d to 36500d"}},
		"half a day":         {[]string{"--create-bucket", "--retention", "36h", "--vault", "s3://offsite/vault"}, []string{"in whole days"}},
		"what is no time":    {[]string{"--create-bucket", "--retention", "long", "--vault", "s3://offsite/vault"}, []string{"write 45d"}},
		"with a joined host": {[]string{"--create-bucket", "--join", "--vault", "s3://offsite/vault"}, []string{"--create-bucket is for a new vault"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := &rig{t: t, dir: t.TempDir()}
			t.Chdir(r.dir)
			r.run(append([]string{"init", "--config", "farshore.yaml", "--kit", "kit"}, tt.args...)...).ends(exitUsage).warns(tt.want...)
			if left, err := os.ReadDir("."); err != nil || len(left) > 0 {
				t.Errorf("files were left: %v, %v", left, err)
			}
		})
	}
}

// TestInitSaysWhatIsMissing is a service that makes the bucket and refuses the lock, and one that says yes and does nothing.
func TestInitSaysWhatIsMissing(t *testing.T) {
	tests := map[string]struct {
		lock int // what it answers to the lock's configuration
		want []string
	}{
		"halfway": {http.StatusForbidden, []string{"the bucket halfway was made", "its new objects get no lock", "nothing was removed", "no vault was made", "farshore policy"}},
		"hollow":  {http.StatusOK, []string{"the bucket hollow was made, and does not show what it was made with", "no vault was made and nothing was removed"}},
	}
	for bucket, tt := range tests {
		t.Run(bucket, func(t *testing.T) {
			r := newRig(t)
			if _, err := r.client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &bucket}); err != nil {
				t.Fatal(err)
			}
			r.gate.set(func(w http.ResponseWriter, req *http.Request) bool {
				made := strings.TrimSuffix(req.URL.Path, "/") == "/"+bucket
				switch {
				case made && req.Method == http.MethodHead:
					w.WriteHeader(http.StatusNotFound)
				case made && req.Method == http.MethodPut && req.URL.Query().Has("object-lock") && tt.lock != http.StatusOK:
					http.Error(w, "<Error><Code>AccessDenied</Code><Message>not this one</Message></Error>", tt.lock)
				case made && req.Method == http.MethodPut:
					w.WriteHeader(http.StatusOK)
				default:
					return false
				}
				return true
			})
			r.run("init", "--create-bucket", "--vault", r.server.URL(bucket, "vault"), "--config", "b/farshore.yaml", "--kit", "b/kit").ends(exitIncomplete).warns(tt.want...)
			if _, err := os.Stat("b"); err == nil {
				t.Error("files were left behind")
			}
			r.gate.set(nil)
			if out, err := r.client.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &bucket}); err != nil || len(out.Contents) > 0 {
				t.Errorf("a vault was begun: %v, %v", out, err)
			}
		})
	}
}

func TestWhatSettingsMean(t *testing.T) {
	day := 24 * time.Hour
	at := func(d time.Duration) *time.Duration { return &d }
	tests := map[string]struct {
		settings providers.Settings
		want     []string
	}{
		"compliance":  {providers.Settings{Versioning: "on", Lock: true, Mode: providers.Compliance, Retention: 45 * day}, []string{"locked for 45d: nobody can remove it before", "versioning is on"}},
		"gcs, locked": {providers.Settings{Lock: true, Mode: providers.Policy, Retention: 30 * day}, []string{"locked for 30d: nobody can remove it before"}},
		"governance":  {providers.Settings{Versioning: "on", Lock: true, Mode: providers.Governance, Retention: 45 * day}, []string{"which can be lifted", credentialAlone}},
		"no default":  {providers.Settings{Versioning: "on", Lock: true}, []string{"gives new objects no lock", credentialAlone}},
		"nothing":     {providers.Settings{Versioning: "off"}, []string{"no Object Lock: " + credentialAlone, "is gone"}},
		"suspended":   {providers.Settings{Versioning: "suspended"}, []string{"versioning is suspended: what is overwritten or deleted is gone"}},
		"unread":      {providers.Settings{Unknown: map[string]string{"lock": "denied", "rules": "denied", "versioning": "denied"}}, []string{"could not be read (denied)", "(lifecycle) could not be read", "whether versioning is on could not be read"}},
		"lifecycle": {providers.Settings{Versioning: "on", Rules: []providers.Rule{
			{ID: "sweep", Expire: at(7 * day), Noncurrent: at(day)}, {ID: "tags", Prefix: "vault/", Tagged: true},
		}}, []string{`rule "sweep" removes objects 7d after they were written and what was overwritten or hidden 1d later, everywhere`, `rule "tags" removes objects, below vault/, where a tag`}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := strings.Join(keepsOf(tt.settings).Means, "\n")
			for _, w := range tt.want {
				if !strings.Contains(got, w) {
					t.Errorf("%q does not say %q", got, w)
				}
			}
			if binds := strings.Contains(got, "nobody can remove"); binds == strings.Contains(got, credentialAlone) {
				t.Errorf("%q says neither or both of a lock that binds and of a credential alone", got)
			}
		})
	}
}
