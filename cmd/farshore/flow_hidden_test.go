package main

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"farshore/providers/servers"
)

// TestHiddenPacksShow hides every pack of a vault with versions: readers see through it, warn, and say so in --json; verify and a drill end with exit code 4.
func TestHiddenPacksShow(t *testing.T) {
	r := &rig{t: t, dir: t.TempDir(), server: servers.MinIO(t)}
	r.client, r.bucket = r.server.Client(t), r.server.Bucket(t)
	setAWS(t, r.server)
	t.Chdir(r.dir)
	place := r.server.Bucket(t)
	if _, err := r.client.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{
		Bucket: &place, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled},
	}); err != nil {
		t.Fatal(err)
	}
	kit := []string{"--vault", r.server.URL(place, "v"), "--identity", "kit/recovery.key"}
	r.ok("init", "--vault", kit[1], "--config", "farshore.yaml", "--kit", "kit", "--quiet")
	r.settle("require: none")
	r.put(map[string]string{"a": "alpha", "b": "beta"})
	r.ok("source", "add", "shop", r.url())
	r.ok("replicate")
	r.ok(append([]string{"drill", "header"}, kit...)...)
	hidden := r.hide(place, "v/packs/")
	if len(hidden) != 1 {
		t.Fatal(hidden)
	}
	var got struct{ Notices []string }
	if d, _ := r.json(&got, append([]string{"restore", "--source", "shop", "--to", "out"}, kit...)...); d.code != exitDone || len(got.Notices) == 0 || !strings.Contains(got.Notices[0], "a delete marker") {
		t.Errorf("exit %d, %q", d.code, got.Notices)
	}
	if f := files(t, "out"); len(f) != 2 || f["a"] != "alpha" {
		t.Errorf("%q", f)
	}
	r.ok(append([]string{"cat", "shop", "b"}, kit...)...).says("beta").warns("warning: tampering: "+hidden[0], "a delete marker")
	r.run(append([]string{"verify"}, kit...)...).ends(exitDamage).says("TAMPERED", "a delete marker")
	r.run(append([]string{"drill", "header"}, kit...)...).ends(exitDamage).says("1 header opened", hidden[0]+": hidden")
	// A commit that is hidden is still there.
	r.hide(place, "v/commits/")
	r.ok(append([]string{"ls", "shop"}, kit...)...).says("2 items")
	r.ok(append([]string{"vault", "show"}, kit...)...).warns("warning: tampering: commits/", "a delete marker")
}

// hide lays a delete marker over everything below a prefix, and returns the names in the vault.
func (r *rig) hide(bucket, prefix string) (names []string) {
	r.t.Helper()
	out, err := r.client.ListObjectsV2(r.t.Context(), &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: &prefix})
	if err != nil {
		r.t.Fatal(err)
	}
	for _, o := range out.Contents {
		if _, err := r.client.DeleteObject(r.t.Context(), &s3.DeleteObjectInput{Bucket: &bucket, Key: o.Key}); err != nil {
			r.t.Fatal(err)
		}
		names = append(names, strings.TrimPrefix(aws.ToString(o.Key), "v/"))
	}
	return names
}
