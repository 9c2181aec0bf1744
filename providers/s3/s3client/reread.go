package s3client

import (
	"context"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
)

// rereadEvery is how often the AWS files are looked at: two calls of the file system for that, and session keys that somebody renews are in use soon enough before
// the old ones end.
const rereadEvery = 10 * time.Second

// rereading gives the credentials of the AWS default chain, and reads it anew when one of its files was changed. The SDK reads the keys in a file once for
// the life of a process: whoever rotates them would have to restart it. Safe for concurrent use.
type rereading struct {
	load  func(context.Context) (aws.CredentialsProvider, error)
	every time.Duration

	mu       sync.Mutex
	provider aws.CredentialsProvider
	read     []stamp // of the files as the provider has read them
	looked   time.Time
}

// stamp tells one state of a file from another. The zero stamp is a file that is not there.
type stamp struct {
	modified time.Time
	size     int64
}

// newRereading starts with a provider that was loaded just now. What the files are was asked before that, so that a change in between is seen.
func newRereading(p aws.CredentialsProvider, read []stamp, load func(context.Context) (aws.CredentialsProvider, error)) *rereading {
	return &rereading{load: load, every: rereadEvery, provider: p, read: read, looked: time.Now()}
}

// Retrieve implements aws.CredentialsProvider.
func (r *rereading) Retrieve(ctx context.Context) (aws.Credentials, error) {
	return r.current(ctx).Retrieve(ctx)
}

// current returns the provider as of the files. While they can't be read, as when somebody is at writing them, it is the one from before.
func (r *rereading) current(ctx context.Context) aws.CredentialsProvider {
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Since(r.looked) < r.every {
		return r.provider
	}
	r.looked = time.Now()
	now := stamps()
	if slices.Equal(now, r.read) {
		return r.provider
	}
	p, err := r.load(ctx)
	if err != nil || p == nil {
		return r.provider
	}
	if _, err := p.Retrieve(ctx); err != nil {
		return r.provider
	}
	r.provider, r.read = p, now
	return p
}

// stamps are those of the files that the default chain reads.
func stamps() []stamp {
	var out []stamp
	for _, f := range []struct{ env, fallback string }{
		{"AWS_SHARED_CREDENTIALS_FILE", config.DefaultSharedCredentialsFilename()}, {"AWS_CONFIG_FILE", config.DefaultSharedConfigFilename()},
	} {
		path := os.Getenv(f.env)
		if path == "" {
			path = f.fallback
		}
		var s stamp
		if info, err := os.Stat(path); err == nil {
			s = stamp{info.ModTime(), info.Size()}
		}
		out = append(out, s)
	}
	return out
}
