package s3target

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"farshore/agent/restore"
)

// badCredential are the codes that say that the credential itself is of no use, whatever the object.
var badCredential = []string{
	"ExpiredToken", "InvalidToken", "TokenRefreshRequired", "InvalidAccessKeyId", "SignatureDoesNotMatch", "RequestTimeTooSkewed", "RequestExpired",
	"AuthorizationHeaderMalformed", "NotSignedUp", "InvalidSecurity",
}

// temporaryCodes are refusals that a later attempt may not meet.
var temporaryCodes = []string{
	"SlowDown", "SlowDownWrite", "SlowDownRead", "ServiceUnavailable", "Throttling", "ThrottlingException", "TooManyRequests", "RequestLimitExceeded",
	"BandwidthLimitExceeded", "InternalError", "RequestTimeout", "ConditionalRequestConflict", "OperationAborted", "BadDigest", "IncompleteBody",
	"XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch", "XMinioContentChecksumMismatch",
}

// fullCodes say that there is no room.
var fullCodes = []string{"QuotaExceeded", "StorageQuotaExceeded", "InsufficientStorage", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded"}

func statusOf(err error) int {
	var r *smithyhttp.ResponseError
	if errors.As(err, &r) && r.Response != nil {
		return r.HTTPStatusCode()
	}
	return 0
}

func codeOf(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

func isCode(err error, codes ...string) bool {
	code := codeOf(err)
	return code != "" && slices.Contains(codes, code)
}

// temporary reports whether a later attempt may succeed.
func temporary(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) {
		return false
	}
	switch status := statusOf(err); {
	case isCode(err, temporaryCodes...), status == 408, status == 429:
		return true
	case isCode(err, fullCodes...), status == 501, status == 507:
		return false
	case status >= 500:
		return true
	case status >= 300:
		return false
	}
	var sent *smithyhttp.RequestSendError
	var network net.Error
	return errors.As(err, &sent) || errors.As(err, &network) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, context.DeadlineExceeded)
}

const (
	attempts = 8
	// maxPause bounds the pause between attempts.
	maxPause = 20 * time.Second
	// patience is how long a request may take at least, slowest how many bytes a second it must move beyond that.
	patience = 2 * time.Minute
	slowest  = 64 << 10
)

// patiently makes a request that moves so many bytes, again and again while its failure is temporary.
func (t *Target) patiently(ctx context.Context, bytes int64, request func(ctx context.Context) error) error {
	for n := 1; ; n++ {
		limited, cancel := context.WithTimeout(ctx, patience+time.Duration(bytes/slowest)*time.Second)
		err := request(limited)
		cancel()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !temporary(err) || n == attempts {
			return err
		}
		pause := min(t.o.Pause<<(n-1), maxPause)
		if err := sleep(ctx, pause/2+rand.N(pause/2+1)); err != nil {
			return err
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// failure says in one line what failed, and whether it is about one item: refusals that are not about credential, rights, bucket or room are.
func (t *Target) failure(what, path string, err error) error {
	status := statusOf(err)
	if errors.Is(err, context.Canceled) {
		return err
	}
	text := fmt.Errorf("%s %q in bucket %s: %w", what, path, t.bucket, &answer{err})
	switch {
	case path == "" || temporary(err) || isCode(err, badCredential...) || status == 0:
		return text
	case isCode(err, fullCodes...) || status == 507:
		return fmt.Errorf("no room left: %w", text)
	case isCode(err, "NoSuchBucket"):
		return fmt.Errorf("%w: create the bucket, or correct the address", text)
	case status == 403 || status == 401:
		return fmt.Errorf("%w: the credential needs s3:ListBucket, s3:GetObject and s3:PutObject on the bucket, and s3:PutObjectTagging for tags", text)
	case status >= 300 && status < 400:
		return fmt.Errorf("%w: the bucket is in another region", text)
	}
	return &restore.ItemError{Err: text}
}

// answer says what a store answered without the SDK's own words.
type answer struct{ err error }

// Error returns code, message and status.
func (a *answer) Error() string {
	var api smithy.APIError
	status := statusOf(a.err)
	if !errors.As(a.err, &api) || status == 0 {
		return a.err.Error()
	}
	message := strings.TrimSpace(api.ErrorMessage())
	if message == api.ErrorCode() {
		message = ""
	}
	return strings.TrimSpace(fmt.Sprintf("%s %s", api.ErrorCode(), message)) + fmt.Sprintf(" (HTTP %d)", status)
}

// Unwrap returns the SDK's error.
func (a *answer) Unwrap() error { return a.err }
