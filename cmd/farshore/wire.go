package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"farshore/agent/config"
	"farshore/agent/source"
	"farshore/agent/source/bucket"
	"farshore/providers"
	"farshore/providers/file"
	"farshore/providers/gcs"
	"farshore/providers/rclone"
	"farshore/providers/s3"
	"farshore/providers/s3/s3client"
)

// openDriver opens the store at a vault's address. This is the one place where schemes become stores.
func (e *env) openDriver(ctx context.Context, address string) (providers.Driver, error) {
	switch scheme, _, _ := strings.Cut(address, ":"); scheme {
	case "file":
		return opened(file.Open(address))
	case "s3":
		return opened(s3.Open(ctx, address, s3.Options{UserAgent: userAgent()}))
	case "gs":
		return opened(gcs.Open(ctx, address, gcs.Options{}))
	case "rclone":
		return opened(rclone.Open(ctx, address, rclone.Options{Log: e.rcloneLog()}))
	}
	return nil, usagef("no store is known for %s", address)
}

// makePlace makes what a new vault's address needs to exist: a directory. Buckets are made by whoever administers them.
func makePlace(address string) error {
	if !strings.HasPrefix(address, "file:") {
		return nil
	}
	d, err := file.Open(address, file.CreateDir())
	if err != nil {
		return err
	}
	return d.Close()
}

// opened keeps a driver that failed to open from becoming an interface that is not nil.
func opened[D providers.Driver](d D, err error) (providers.Driver, error) {
	if err != nil {
		return nil, err
	}
	return d, nil
}

// openSource opens a source of the configuration. This is the one place where schemes become sources.
func (e *env) openSource(ctx context.Context, c *config.Config, s config.Source) (source.Source, error) {
	if s.RepositoryKind() != "" {
		return e.openRepositories(c, s)
	}
	switch scheme, _, _ := strings.Cut(s.URL, ":"); scheme {
	case "s3":
		return openBucketSource(ctx, s, e.sourceLimits(c, &s))
	}
	return nil, usagef("no source is known for %s", s.URL)
}

// readAhead is how many bytes of large objects are read ahead: two ranges of 8 MiB, which at 100 ms a request is 160 MB/s.
const readAhead = 16 << 20

// openBucketSource opens an S3 bucket.
func openBucketSource(ctx context.Context, s config.Source, l bucket.Limits) (source.Source, error) {
	at, err := s3client.Parse(s.URL)
	if err != nil {
		return nil, err
	}
	client, err := at.New(ctx, s3client.Options{UserAgent: userAgent()})
	if err != nil {
		return nil, err
	}
	if err := signs(ctx, client); err != nil {
		return nil, err
	}
	src, err := bucket.New(bucket.Options{
		Client: client, Bucket: at.Bucket, Prefix: at.Prefix, Name: s.Name, Place: at.String(),
		Memory: readAhead,
		Limits: l,
	})
	if err != nil {
		return nil, err
	}
	return src, nil
}

// signs reports whether there are credentials to sign requests with. To find that out at the first request would take as long as a store that does not answer.
func signs(ctx context.Context, client *awss3.Client) error {
	c := client.Options().Credentials
	if c == nil {
		return nil
	}
	if _, err := c.Retrieve(ctx); errors.Is(err, s3client.ErrCredentials) {
		return err
	}
	return nil
}

// store is an open vault's store.
type store struct {
	*providers.Bucket
	driver providers.Driver
}

// openStore opens the store at a vault's address, with retries and limits. The caller closes it; withStore does that by itself.
func (e *env) openStore(ctx context.Context, address string, l config.Limits) (*store, error) {
	d, err := e.openDriver(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("open the vault's store: %w", err)
	}
	return &store{Bucket: providers.New(d, e.storeLimits(l)), driver: d}, nil
}

// Close releases what the driver holds. Nothing may be in progress.
func (s *store) Close() error {
	if c, ok := s.driver.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// withStore opens the store at a vault's address for as long as do takes.
func (e *env) withStore(ctx context.Context, address string, l config.Limits, do func(*store) error) error {
	s, err := e.openStore(ctx, address, l)
	if err != nil {
		return err
	}
	return errors.Join(do(s), s.Close())
}

// userAgent is what stores see of us in their logs.
func userAgent() string { return "farshore/" + strings.Trim(buildVersion().Version, "()") }

// rcloneLog shows what rclone has to say, with --verbose.
func (e *env) rcloneLog() *slog.Logger {
	if !e.flags.verbose {
		return nil
	}
	return slog.New(slog.NewTextHandler(e.stderr, nil))
}
