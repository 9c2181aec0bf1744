package s3client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/middleware"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/logging"
)

// defaultRegion is what compatible stores expect in a signature when they have no regions.
const defaultRegion = "us-east-1"

// Options are the parts of a client that no address holds.
type Options struct {
	// Credentials replaces the AWS default chain (environment, profile, web identity, instance role). Nil keeps the chain.
	Credentials aws.CredentialsProvider
	// UserAgent is a product that every request's User-Agent names, such as "farshore/0.1". Empty adds none.
	UserAgent string
}

// New returns a client for the location's service. It reads the environment and the AWS configuration files, and those files again when they change, but does not
// yet ask for credentials or the bucket. The client never retries, and computes and checks checksums only where a request asks for it. It may be
// used concurrently, and one for a process is best, since it keeps the connections.
func (l Location) New(ctx context.Context, o Options) (*s3.Client, error) {
	read := stamps()
	cfg, err := config.LoadDefaultConfig(ctx, l.loadOptions(o)...)
	if err != nil {
		return nil, fmt.Errorf("s3 client for %s: read the AWS configuration: %w", l, err)
	}
	if cfg.Region == "" {
		if l.Endpoint == "" {
			return nil, fmt.Errorf("s3 client for %s: %w", l, errNoRegion)
		}
		cfg.Region = defaultRegion
	}
	if o.Credentials == nil && cfg.Credentials != nil {
		cfg.Credentials = newRereading(cfg.Credentials, read, func(ctx context.Context) (aws.CredentialsProvider, error) {
			cfg, err := config.LoadDefaultConfig(ctx, l.loadOptions(o)...)
			return cfg.Credentials, err
		})
	}
	return s3.NewFromConfig(cfg, func(c *s3.Options) {
		c.UsePathStyle = l.PathStyle
		c.Credentials = named(c.Credentials)
		if l.Endpoint != "" {
			c.BaseEndpoint = aws.String(l.Endpoint)
		}
		if product, version, _ := strings.Cut(o.UserAgent, "/"); product != "" {
			c.APIOptions = append(c.APIOptions, middleware.AddUserAgentKeyValue(product, version))
		}
		c.DisableLogOutputChecksumValidationSkipped = true
	}), nil
}

// ErrCredentials is what errors.Is finds when a request could not even be signed: there are no credentials, or whoever hands them out refused.
var ErrCredentials = errors.New("no AWS credentials: name a profile in the address, or set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")

// named makes the provider's failures recognisable as ErrCredentials.
func named(p aws.CredentialsProvider) aws.CredentialsProvider {
	if p == nil || aws.IsCredentialsProvider(p, aws.AnonymousCredentials{}) {
		return p
	}
	return namedProvider{p}
}

type namedProvider struct{ p aws.CredentialsProvider }

// Retrieve implements aws.CredentialsProvider.
func (n namedProvider) Retrieve(ctx context.Context) (aws.Credentials, error) {
	c, err := n.p.Retrieve(ctx)
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrCredentials, err)
	}
	return c, err
}

var errNoRegion = errors.New("no region is known: add ?region=… to the address, or set AWS_REGION")

func (l Location) loadOptions(o Options) []func(*config.LoadOptions) error {
	opts := []func(*config.LoadOptions) error{
		config.WithHTTPClient(httpClient()),
		config.WithRetryer(func() aws.Retryer { return aws.NopRetryer{} }),
		// The SDK's own words go to stderr otherwise, past the log and its form; what fails is an error, and tells enough.
		config.WithLogger(logging.Nop{}),
		config.WithRequestChecksumCalculation(aws.RequestChecksumCalculationWhenRequired),
		config.WithResponseChecksumValidation(aws.ResponseChecksumValidationWhenRequired),
	}
	if l.Region != "" {
		opts = append(opts, config.WithRegion(l.Region))
	}
	if l.Profile != "" {
		opts = append(opts, config.WithSharedConfigProfile(l.Profile))
	}
	if o.Credentials != nil {
		opts = append(opts, config.WithCredentialsProvider(o.Credentials))
	}
	return opts
}

// httpClient is tuned for a few dozen parallel transfers of large bodies. It is the SDK's own client, so that AWS_CA_BUNDLE works.
func httpClient() *awshttp.BuildableClient {
	// A read timeout of the SDK would run during an upload too, when nothing is to be read, and break every slow one: callers set deadlines.
	return awshttp.NewBuildableClient().WithReadTimeout(0).WithDialerOptions(func(d *net.Dialer) {
		d.Timeout = 10 * time.Second
	}).WithTransportOptions(func(t *http.Transport) {
		t.TLSHandshakeTimeout = 10 * time.Second
		// How long a large upload waits for the store's leave before it starts anyway: long enough that a busy store can still refuse
		// an existing name before 32 MiB are sent.
		t.ExpectContinueTimeout = 3 * time.Second
		// Counted from the end of the request's body: a store may hash and replicate 64 MiB before it answers.
		t.ResponseHeaderTimeout = 60 * time.Second
		// Shorter than the 60 s and more after which load balancers close quietly, so that a reused connection is seldom a dead one.
		t.IdleConnTimeout = 45 * time.Second
		t.MaxIdleConns, t.MaxIdleConnsPerHost = 256, 128
		// HTTP/2 would put all bodies into one TCP connection and copy them once more.
		t.Protocols = new(http.Protocols)
		t.Protocols.SetHTTP1(true)
		t.ForceAttemptHTTP2 = false
		// The default of 4 KiB costs sixteen times the system calls.
		t.ReadBufferSize, t.WriteBufferSize = 64<<10, 128<<10
		// Sealed bytes do not compress, and a source's objects are wanted as they are.
		t.DisableCompression = true
	})
}
