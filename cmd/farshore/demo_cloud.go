package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"golang.org/x/sync/errgroup"

	"farshore/providers/s3/s3fake"
)

// The demo's bucket, and the two credentials for it: profiles of the AWS tools.
const (
	demoBucket = "shop"
	demoAgent  = "agent" // may read
	demoOwner  = "owner" // may do anything
	demoRegion = "us-east-1"
)

// demoWorkers is how many requests the demo itself makes at a time.
const demoWorkers = 8

// demoCloud is the primary cloud: an S3 server in this process, for this machine alone. Its methods may be called concurrently, but for close.
type demoCloud struct {
	endpoint string
	secrets  map[string]string // by access key, which is called like its profile
	client   *s3.Client        // with the owner's credentials
	http     *http.Client
	server   *http.Server
	ended    chan error
}

// startDemoCloud starts the server and makes the bucket. The caller closes it.
func startDemoCloud() (*demoCloud, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	c := &demoCloud{
		endpoint: "http://" + listener.Addr().String(), secrets: map[string]string{demoAgent: rand.Text(), demoOwner: rand.Text()},
		http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: demoWorkers}}, ended: make(chan error, 1),
	}
	c.server = &http.Server{Handler: readOnly(demoAgent, s3fake.Handler(c.secrets)), ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	go func() { c.ended <- c.server.Serve(listener) }()
	c.client = s3.New(s3.Options{
		BaseEndpoint: &c.endpoint, Region: demoRegion, UsePathStyle: true, HTTPClient: c.http,
		Credentials: credentials.NewStaticCredentialsProvider(demoOwner, c.secrets[demoOwner], ""),
	})
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if _, err := c.client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String(demoBucket)}); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

// readOnly refuses everything but reading to one access key, as a policy would. Who signed is checked behind it.
func readOnly(key string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reads := r.Method == http.MethodGet || r.Method == http.MethodHead
		if !reads && strings.Contains(r.Header.Get("Authorization"), "Credential="+key+"/") {
			http.Error(w, "<Error><Code>AccessDenied</Code><Message>this key may only read</Message></Error>", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// close stops the server and waits for it.
func (c *demoCloud) close() error {
	c.http.CloseIdleConnections()
	err := c.server.Close()
	if served := <-c.ended; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// credentials returns a file as the AWS tools have it.
func (c *demoCloud) credentials() string {
	var b strings.Builder
	for _, profile := range []string{demoAgent, demoOwner} {
		fmt.Fprintf(&b, "[%s]\naws_access_key_id = %s\naws_secret_access_key = %s\n", profile, profile, c.secrets[profile])
	}
	return b.String()
}

// url returns the bucket's address for one of the two credentials.
func (c *demoCloud) url(profile string) string {
	return (&url.URL{Scheme: "s3", Host: demoBucket, RawQuery: "endpoint=" + c.endpoint + "&profile=" + profile}).String()
}

// put writes the objects.
func (c *demoCloud) put(ctx context.Context, objects demoObjects) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(demoWorkers)
	for _, key := range objects.sorted() {
		g.Go(func() error {
			if err := c.putOne(ctx, key, objects[key]); err != nil {
				return fmt.Errorf("put %q: %w", key, err)
			}
			return nil
		})
	}
	return g.Wait()
}

func (c *demoCloud) putOne(ctx context.Context, key string, o demoObject) error {
	in := &s3.PutObjectInput{
		Bucket: aws.String(demoBucket), Key: &key, Body: bytes.NewReader(o.body()), ContentType: given(o.contentType), CacheControl: given(o.cacheControl),
		ContentDisposition: given(o.disposition), ContentEncoding: given(o.encoding), ContentLanguage: given(o.language), Metadata: o.meta,
	}
	if len(o.tags) > 0 {
		tags := url.Values{}
		for k, v := range o.tags {
			tags.Set(k, v)
		}
		in.Tagging = aws.String(tags.Encode())
	}
	var options []func(*s3.Options)
	if o.expires != "" {
		options = append(options, s3.WithAPIOptions(smithyhttp.SetHeaderValue("Expires", o.expires)))
	}
	_, err := c.client.PutObject(ctx, in, options...)
	return err
}

// given returns nil for what is not given.
func given(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// keys lists the bucket.
func (c *demoCloud) keys(ctx context.Context) ([]string, error) {
	var keys []string
	pages := s3.NewListObjectsV2Paginator(c.client, &s3.ListObjectsV2Input{Bucket: aws.String(demoBucket), EncodingType: types.EncodingTypeUrl})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, o := range page.Contents {
			key, err := url.PathUnescape(aws.ToString(o.Key))
			if err != nil {
				return nil, err
			}
			keys = append(keys, key)
		}
	}
	return keys, nil
}

// remove deletes the objects.
func (c *demoCloud) remove(ctx context.Context, keys []string) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(demoWorkers)
	for _, key := range keys {
		g.Go(func() error {
			_, err := c.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: aws.String(demoBucket), Key: &key})
			return err
		})
	}
	return g.Wait()
}
