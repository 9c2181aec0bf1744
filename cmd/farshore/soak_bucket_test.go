package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// soakBucket is a bucket that changes, and what every object of it ever was. Its methods may be called concurrently, live once at a time.
type soakBucket struct {
	t      *testing.T
	name   string // of the source, and of the bucket
	url    string
	client *s3.Client
	rng    *rand.Rand
	// large is how many bytes large objects may still have, all together: the servers keep all in memory.
	large int64

	mu      sync.Mutex
	history map[string]*soakObject
	serial  int
}

// soakObject is what one key ever had.
type soakObject struct {
	bodies []soakBody
	// gone are the times in which it was deleted: from before the request was made until it was answered.
	gone []soakSpan
	// there says that the last of bodies is there now.
	there bool
}

// soakBody is a body that a key had.
type soakBody struct {
	sum  [sha256.Size]byte
	size int
	// seen is when it could be read: from before it was written until what took its place was; until is zero while it is there.
	seen soakSpan
	// done is when its writing was answered; zero: not yet.
	done time.Time
}

// soakSpan is a time from one moment to another; a zero end is now.
type soakSpan struct{ from, until time.Time }

// meets reports whether the spans have a moment in common.
func (a soakSpan) meets(b soakSpan) bool {
	return (a.until.IsZero() || !a.until.Before(b.from)) && (b.until.IsZero() || !b.until.Before(a.from))
}

const (
	soakKeys  = 120      // to begin with
	soakSmall = 12 << 10 // bytes of an object, at most
	soakLarge = 2 << 20
)

// newSoakBucket makes a bucket with objects in it.
func newSoakBucket(s *soak, name string, server *soakServer) *soakBucket {
	b := &soakBucket{t: s.t, name: name, url: server.url(name, ""), client: server.bucket(name), rng: s.draw("bucket " + name), large: 96 << 20, history: map[string]*soakObject{}}
	for range soakKeys {
		b.write(s.t.Context(), b.fresh(), b.rng.IntN(soakSmall))
	}
	return b
}

// live changes the bucket until then.
func (b *soakBucket) live(end time.Time) {
	ctx := b.t.Context()
	for time.Now().Before(end) && ctx.Err() == nil {
		keys := b.keys()
		switch n := b.rng.IntN(100); {
		case n < 50:
			b.write(ctx, keys[b.rng.IntN(len(keys))], b.rng.IntN(soakSmall))
		case n < 73 && len(keys) < 2*soakKeys || len(keys) < soakKeys/2:
			b.write(ctx, b.fresh(), b.rng.IntN(soakSmall))
		case n < 98:
			b.remove(ctx, keys[b.rng.IntN(len(keys))])
		default:
			b.burst(1 + b.rng.IntN(4))
		}
		soakWait(ctx, time.Duration(b.rng.IntN(60))*time.Millisecond)
	}
}

// soakWait paces what a machine would do much faster than people do.
func soakWait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// burst writes some large objects over one another, as far as there is room for them.
func (b *soakBucket) burst(n int) {
	for i := range n {
		size := soakLarge/2 + b.rng.IntN(soakLarge/2)
		if b.large -= int64(size); b.large < 0 {
			return
		}
		b.write(b.t.Context(), fmt.Sprintf("large/%d", i), size)
	}
}

// fresh is a key that was never used.
func (b *soakBucket) fresh() string {
	b.serial++
	return fmt.Sprintf("d%d/%s %05d", b.serial%7, []string{"plain", "größer", "z"}[b.serial%3], b.serial)
}

// keys are those of the objects that are there, in order, as far as this one knows who changes them.
func (b *soakBucket) keys() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []string
	for key, o := range b.history {
		if o.there {
			all = append(all, key)
		}
	}
	slices.Sort(all)
	return all
}

// content is a body that says what it is: half of it can be compressed.
func (b *soakBucket) content(key string, version, size int) []byte {
	body := fmt.Appendf(nil, "bucket %s key %q version %d\n", b.name, key, version)
	noise := make([]byte, size/2)
	for i := range noise {
		noise[i] = byte(b.rng.Uint32())
	}
	body = append(body, noise...)
	return append(body, bytes.Repeat([]byte("as it was before, "), size/2/18)...)
}

// write puts the next body of a key.
func (b *soakBucket) write(ctx context.Context, key string, size int) {
	b.mu.Lock()
	o := b.history[key]
	if o == nil {
		o = new(soakObject)
		b.history[key] = o
	}
	body := b.content(key, len(o.bodies)+1, size)
	o.bodies = append(o.bodies, soakBody{sum: sha256.Sum256(body), size: len(body), seen: soakSpan{from: time.Now()}})
	last := len(o.bodies) - 1
	b.mu.Unlock()
	_, err := b.client.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String(b.name), Key: &key, Body: bytes.NewReader(body), ContentType: aws.String("text/plain")})
	if err != nil {
		b.t.Errorf("the soak's own write of %s: %v", key, err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	o.bodies[last].done = time.Now()
	if o.there {
		o.bodies[last-1].seen.until = o.bodies[last].done
	}
	o.there = true
}

// remove deletes an object.
func (b *soakBucket) remove(ctx context.Context, key string) {
	begin := time.Now()
	if _, err := b.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: aws.String(b.name), Key: &key}); err != nil {
		b.t.Errorf("the soak's own deletion of %s: %v", key, err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	o := b.history[key]
	o.there = false
	o.bodies[len(o.bodies)-1].seen.until = time.Now()
	o.gone = append(o.gone, soakSpan{begin, time.Now()})
}

// now is what is there.
func (b *soakBucket) now() map[string][sha256.Size]byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := map[string][sha256.Size]byte{}
	for key, o := range b.history {
		if o.there {
			all[key] = o.bodies[len(o.bodies)-1].sum
		}
	}
	return all
}

// judge holds the items of a snapshot to what was there while its pass went on. got are the contents that were restored, doubtful the paths that the snapshot itself says could not
// be read. A snapshot that is not complete has items of earlier passes, too.
func (b *soakBucket) judge(got map[string][sha256.Size]byte, doubtful map[string]bool, pass soakSpan, complete bool) (wrong []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for path, sum := range got {
		o := b.history[path]
		if o == nil {
			wrong = append(wrong, fmt.Sprintf("%q was never there", path))
			continue
		}
		i := slices.IndexFunc(o.bodies, func(x soakBody) bool { return x.sum == sum })
		switch {
		case i < 0:
			wrong = append(wrong, fmt.Sprintf("%q never had these bytes", path))
		case o.bodies[i].seen.from.After(pass.until):
			wrong = append(wrong, fmt.Sprintf("%q has version %d, which was written after the snapshot", path, i+1))
		case complete && !doubtful[path] && !o.bodies[i].seen.meets(pass) && !o.vanished(pass):
			wrong = append(wrong, fmt.Sprintf("%q has version %d, which was gone at %s, before the pass began", path, i+1, o.bodies[i].seen.until))
		}
	}
	if !complete {
		return wrong
	}
	for path, o := range b.history {
		if _, ok := got[path]; !ok && !doubtful[path] && o.stayed(pass) {
			wrong = append(wrong, fmt.Sprintf("%q was there all the time, and is not in the snapshot", path))
		}
	}
	slices.Sort(wrong)
	return wrong
}

// vanished reports whether the object was deleted in that time: what is listed and then not found keeps the record that it has, until the next pass.
func (o *soakObject) vanished(pass soakSpan) bool {
	return slices.ContainsFunc(o.gone, pass.meets)
}

// stayed reports whether there was something under the key all the time.
func (o *soakObject) stayed(pass soakSpan) bool {
	return !o.vanished(pass) && slices.ContainsFunc(o.bodies, func(x soakBody) bool {
		return !x.done.IsZero() && x.done.Before(pass.from) && (x.seen.until.IsZero() || x.seen.until.After(pass.from))
	})
}
