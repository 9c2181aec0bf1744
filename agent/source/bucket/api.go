package bucket

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	smithyauth "github.com/aws/smithy-go/auth"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// api sends signed requests for objects of one bucket. It may be used concurrently.
type api struct {
	do          func(*http.Request) (*http.Response, error)
	credentials aws.CredentialsProvider // nil: requests are not signed
	signer      *v4.Signer
	service     string
	region      string
	base        url.URL // of the bucket, without a slash at its end
	rawBase     string
}

// newAPI asks the SDK once where the bucket is and how its requests are signed, which depends on the bucket's name, the region and
// many settings.
func newAPI(o s3.Options, bucket string) (*api, error) {
	if o.EndpointResolverV2 == nil || o.HTTPClient == nil {
		return nil, errors.New("bucket source: the client has no endpoint resolver or HTTP client")
	}
	endpoint, err := o.EndpointResolverV2.ResolveEndpoint(context.Background(), s3.EndpointParameters{
		Bucket: aws.String(bucket), Region: aws.String(o.Region), Endpoint: o.BaseEndpoint,
		UseFIPS:        aws.Bool(o.EndpointOptions.UseFIPSEndpoint == aws.FIPSEndpointStateEnabled),
		UseDualStack:   aws.Bool(o.EndpointOptions.UseDualStackEndpoint == aws.DualStackEndpointStateEnabled),
		ForcePathStyle: aws.Bool(o.UsePathStyle), Accelerate: aws.Bool(o.UseAccelerate), UseGlobalEndpoint: aws.Bool(false),
		DisableMultiRegionAccessPoints: aws.Bool(o.DisableMultiRegionAccessPoints), UseArnRegion: aws.Bool(o.UseARNRegion),
	})
	if err != nil {
		return nil, fmt.Errorf("address of bucket %s: %w", bucket, err)
	}
	a := &api{do: sender(o.HTTPClient), base: endpoint.URI, service: "s3", region: o.Region}
	a.signer = v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	if _, anonymous := o.Credentials.(aws.AnonymousCredentials); o.Credentials != nil && !anonymous {
		a.credentials = o.Credentials
	}
	a.base.Path = strings.TrimSuffix(a.base.Path, "/")
	a.rawBase = escapePath(a.base.Path)
	options, _ := smithyauth.GetAuthOptions(&endpoint.Properties)
	for _, option := range options {
		if option.SchemeID != "sigv4" && option.SchemeID != smithyauth.SchemeIDSigV4 {
			continue // the resolver's rules use the short name
		}
		if name, ok := smithyhttp.GetSigV4SigningName(&option.SignerProperties); ok {
			a.service = name
		}
		if region, ok := smithyhttp.GetSigV4SigningRegion(&option.SignerProperties); ok {
			a.region = region
		}
		return a, nil
	}
	return nil, fmt.Errorf("bucket %s wants requests signed in a way that is not supported here (only Signature Version 4 is)", bucket)
}

// sender returns how requests are sent: by the transport itself where it can be had, which follows no redirects and does not copy
// headers for the case of one. This package has deadlines of its own.
func sender(c s3.HTTPClient) func(*http.Request) (*http.Response, error) {
	switch c := c.(type) {
	case *http.Client:
		if c.Transport != nil {
			return c.Transport.RoundTrip
		}
	case interface{ GetTransport() *http.Transport }: // the SDK's own; it gives a copy, so that objects have connections of their own
		return c.GetTransport().RoundTrip
	}
	return c.Do
}

// emptyHash is the SHA-256 of a request without body.
const emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// get says which bytes of which object to ask for.
type get struct {
	key      string
	etag     string // If-Match; empty: whatever is there
	ranged   bool
	off, end int64 // bytes off to end, end excluded, where ranged
	checksum bool  // ask for the stored checksum, which stores give only for whole objects
	head     bool  // no body
}

// request builds and signs the request. What proxies on the way may change (Accept-Encoding) is not signed.
func (a *api) request(ctx context.Context, g get) (*http.Request, error) {
	u := a.base
	u.Path = a.base.Path + "/" + g.key
	u.RawPath = a.rawBase + "/" + escapePath(g.key)
	header := make(http.Header, 10)
	if g.etag != "" {
		header["If-Match"] = []string{g.etag}
	}
	if g.ranged {
		header["Range"] = []string{"bytes=" + strconv.FormatInt(g.off, 10) + "-" + strconv.FormatInt(g.end-1, 10)}
	}
	if g.checksum {
		header["X-Amz-Checksum-Mode"] = []string{"ENABLED"}
	}
	method := http.MethodGet
	if g.head {
		method = http.MethodHead
	}
	req := (&http.Request{Method: method, URL: &u, Host: u.Host, Header: header, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}).WithContext(ctx)
	if a.credentials != nil {
		header["X-Amz-Content-Sha256"] = []string{emptyHash}
		c, err := a.credentials.Retrieve(ctx)
		if err != nil {
			return nil, fmt.Errorf("credentials: %w", err)
		}
		if err := a.signer.SignHTTP(ctx, c, req, emptyHash, a.service, a.region, time.Now()); err != nil {
			return nil, fmt.Errorf("sign: %w", err)
		}
	}
	// Without this header the transport asks for gzip, and unpacks bodies that are stored with Content-Encoding: gzip.
	header["Accept-Encoding"] = []string{"identity"}
	header["User-Agent"] = []string{"farshore"}
	return req, nil
}

const upperHex = "0123456789ABCDEF"

// escapePath escapes every byte of a key but unreserved ones and slashes, as the signature wants it.
func escapePath(key string) string {
	n := 0
	for i := range len(key) {
		if !unreserved(key[i]) {
			n++
		}
	}
	if n == 0 {
		return key
	}
	b := make([]byte, 0, len(key)+2*n)
	for i := range len(key) {
		c := key[i]
		if unreserved(c) {
			b = append(b, c)
		} else {
			b = append(b, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return string(b)
}

func unreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.' || c == '~' || c == '/'
}
