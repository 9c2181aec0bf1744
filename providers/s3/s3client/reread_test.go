package s3client

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// TestRotatedKeys changes the keys in the credentials file under a client's feet.
func TestRotatedKeys(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "credentials")
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", path)
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(dir, "config"))
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	at := time.Now().Add(-time.Hour)
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		at = at.Add(time.Minute) // the file system's clock may be coarse
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	keys := func(id string) string {
		return fmt.Sprintf("[default]\naws_access_key_id = none\naws_secret_access_key = none\n[vault]\naws_access_key_id = %s\naws_secret_access_key = secret-%s\naws_session_token = token\n", id, id)
	}
	write(keys("first"))
	l := Location{Bucket: "b", Region: "eu-west-3", Profile: "vault"}
	client, err := l.New(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	c := client.Options().Credentials
	holds := func(want string) {
		t.Helper()
		got, err := c.Retrieve(t.Context())
		if err != nil || got.AccessKeyID != want || got.SecretAccessKey != "secret-"+want {
			t.Errorf("%s, %v; want %s", got.AccessKeyID, err, want)
		}
	}
	holds("first")
	look(c, time.Hour)
	write(keys("second"))
	holds("first") // not looked at again so soon
	look(c, 0)
	holds("second")

	write("[default") // somebody is at writing it
	holds("second")
	write("[vault]\naws_access_key_id = half\n")
	holds("second")
	write(keys("third"))
	holds("third")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	holds("third")

	write(keys("fourth"))
	var g sync.WaitGroup
	for range 8 {
		g.Go(func() { holds("fourth") })
	}
	g.Wait()
}

// look has the files looked at that often.
func look(p aws.CredentialsProvider, every time.Duration) {
	r := p.(namedProvider).p.(*rereading)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.every = every
}

// TestGivenCredentials holds that credentials of the caller's own are taken as they are.
func TestGivenCredentials(t *testing.T) {
	given := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "mine", SecretAccessKey: "s"}, nil
	})
	client, err := Location{Bucket: "b", Region: "r"}.New(t.Context(), Options{Credentials: given})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := client.Options().Credentials.Retrieve(t.Context()); err != nil || got.AccessKeyID != "mine" {
		t.Errorf("%+v, %v", got, err)
	}
}
