package providers_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"farshore/providers"
	"farshore/providers/mem"
)

// TestCommonLimits has several Buckets send, receive and ask at the same time within one limit: together they keep it, and each its own.
func TestCommonLimits(t *testing.T) {
	const size = 1 << 20
	body := bytes.Repeat([]byte{1}, size)
	ctx := context.Background()
	create := func(b *providers.Bucket, name string) error {
		_, _, err := b.Create(ctx, name, io.NewSectionReader(bytes.NewReader(body), 0, size), sha256.Sum256(body))
		return err
	}
	read := func(b *providers.Bucket, _ string) error { _, err := b.ReadAll(ctx, "old", size); return err }
	stat := func(b *providers.Bucket, _ string) (err error) {
		for range 50 {
			_, err = b.Stat(ctx, "old")
		}
		return err
	}
	for _, c := range []struct {
		name    string
		common  providers.Limits
		own     providers.Options
		do      func(*providers.Bucket, string) error
		seconds float64
	}{
		// 4 MiB at 1 MiB/s, of which a tenth of a second is free.
		{"upload", providers.Limits{Upload: providers.NewByteLimit(1 << 20)}, providers.Options{}, create, 3.9},
		{"download", providers.Limits{Download: providers.NewByteLimit(1 << 20)}, providers.Options{}, read, 3.9},
		// 200 requests at 50 a second.
		{"requests", providers.Limits{Requests: providers.NewRequestLimit(50)}, providers.Options{}, stat, 3.9},
		{"nothing", providers.Limits{Upload: providers.NewByteLimit(0), Download: providers.NewByteLimit(0), Requests: providers.NewRequestLimit(0)}, providers.Options{}, create, 0},
		{"its own within it", providers.Limits{Upload: providers.NewByteLimit(100 << 20)}, providers.Options{UploadRate: 512 << 10}, create, 1.9},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := mem.New()
				store.Set("old", body)
				begin := time.Now()
				var all sync.WaitGroup
				for i := range 4 {
					o := c.own
					o.Common = c.common
					all.Go(func() {
						if err := c.do(providers.New(store, o), fmt.Sprint(i)); err != nil {
							t.Error(err)
						}
					})
				}
				all.Wait()
				if took := time.Since(begin).Seconds(); took < c.seconds-0.2 || took > c.seconds+0.2 {
					t.Errorf("it took %.2f s, not about %.1f s", took, c.seconds)
				}
			})
		})
	}
}

// TestLimit holds that a limit can be changed while it is in use, lets more pass than its burst, and waits no longer than its context.
func TestLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := providers.NewByteLimit(0)
		wait := func(ctx context.Context, n int) (time.Duration, error) {
			begin := time.Now()
			err := l.Wait(ctx, n)
			return time.Since(begin), err
		}
		if took, err := wait(t.Context(), 1<<30); err != nil || took > 0 {
			t.Errorf("without a limit: %s, %v", took, err)
		}
		l.Set(1 << 20)
		if took, err := wait(t.Context(), 10<<20); err != nil || took < 9*time.Second || took > 10*time.Second {
			t.Errorf("10 MiB at 1 MiB/s: %s, %v", took, err)
		}
		l.Set(1 << 20)
		if took, err := wait(t.Context(), 1<<20); err != nil || took < 900*time.Millisecond {
			t.Errorf("1 MiB more, set to what it is: %s, %v", took, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if took, err := wait(ctx, 10<<20); !errors.Is(err, context.Canceled) || took != time.Second {
			t.Errorf("a context that ends: %s, %v", took, err)
		}
		l.Set(0)
		if took, err := wait(t.Context(), 1<<30); err != nil || took > 0 {
			t.Errorf("the limit taken away: %s, %v", took, err)
		}
		if err := (*providers.Limit)(nil).Wait(t.Context(), 1<<30); err != nil {
			t.Errorf("none at all: %v", err)
		}
	})
}
