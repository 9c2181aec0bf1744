package s3

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"farshore/providers"
	"farshore/providers/s3/s3client"
)

// codeKinds classifies the error codes that S3 and the services like it are documented or known to send.
var codeKinds = map[string]providers.Kind{
	"AccessDenied":          providers.Denied,
	"AccountProblem":        providers.Denied,
	"AllAccessDisabled":     providers.Denied,
	"InvalidPayer":          providers.Denied,
	"KMS.DisabledException": providers.Denied,

	"InvalidAccessKeyId":    providers.Unauthenticated,
	"SignatureDoesNotMatch": providers.Unauthenticated,
	"ExpiredToken":          providers.Unauthenticated,
	"InvalidToken":          providers.Unauthenticated,
	"TokenRefreshRequired":  providers.Unauthenticated,
	"RequestTimeTooSkewed":  providers.Unauthenticated,
	"RequestExpired":        providers.Unauthenticated,
	"InvalidSecurity":       providers.Unauthenticated,
	"NotSignedUp":           providers.Unauthenticated,
	"UnauthorizedAccess":    providers.Unauthenticated,

	"SlowDown":               providers.Throttled,
	"SlowDownRead":           providers.Throttled,
	"SlowDownWrite":          providers.Throttled,
	"ServiceUnavailable":     providers.Throttled,
	"Throttling":             providers.Throttled,
	"ThrottlingException":    providers.Throttled,
	"TooManyRequests":        providers.Throttled,
	"RequestLimitExceeded":   providers.Throttled,
	"BandwidthLimitExceeded": providers.Throttled,

	"PreconditionFailed": providers.Exists,

	"ConditionalRequestConflict": providers.Temporary,
	"OperationAborted":           providers.Temporary,
	"RequestTimeout":             providers.Temporary,
	"InternalError":              providers.Temporary,

	"NoSuchKey":     providers.NotFound,
	"NotFound":      providers.NotFound,
	"NoSuchVersion": providers.NotFound,
	"NoSuchBucket":  providers.NotFound,

	"BadDigest":                     providers.Corrupt,
	"IncompleteBody":                providers.Corrupt,
	"XAmzContentSHA256Mismatch":     providers.Corrupt,
	"XAmzContentChecksumMismatch":   providers.Corrupt,
	"ContentSHA256Mismatch":         providers.Corrupt,
	"XMinioContentChecksumMismatch": providers.Corrupt,

	"QuotaExceeded":                  providers.Full,
	"StorageQuotaExceeded":           providers.Full,
	"InsufficientStorage":            providers.Full,
	"XMinioStorageFull":              providers.Full,
	"XMinioAdminBucketQuotaExceeded": providers.Full,

	"NotImplemented":     providers.Unsupported,
	"MethodNotAllowed":   providers.Unsupported,
	"InvalidObjectState": providers.Unsupported,
}

// statusKinds classifies answers without a known code: those to HEAD have no body, and so no code.
var statusKinds = map[int]providers.Kind{
	http.StatusUnauthorized:        providers.Unauthenticated,
	http.StatusForbidden:           providers.Denied,
	http.StatusNotFound:            providers.NotFound,
	http.StatusMethodNotAllowed:    providers.Unsupported,
	http.StatusRequestTimeout:      providers.Temporary,
	http.StatusConflict:            providers.Temporary,
	http.StatusPreconditionFailed:  providers.Exists,
	http.StatusTooManyRequests:     providers.Throttled,
	http.StatusNotImplemented:      providers.Unsupported,
	http.StatusServiceUnavailable:  providers.Throttled,
	http.StatusInsufficientStorage: providers.Full,
}

// fail turns an error of the SDK into an *Error of the kind that fits, with one short line for people.
func (d *Driver) fail(ctx context.Context, op, name string, err error) error {
	e := &providers.Error{Op: op, Name: name, Err: err}
	if ctx.Err() != nil {
		e.Err = context.Cause(ctx)
		return e
	}
	status := s3client.Status(err)
	e.Kind = kindOf(err, status)
	if status != 0 {
		e.Err = d.answer(err, status)
	}
	return e
}

// failVersion is fail for a request that may name a version: the method is refused where that is a marker, which has no bytes.
func (d *Driver) failVersion(ctx context.Context, op, name string, id *string, err error) error {
	if id != nil && ctx.Err() == nil && (s3client.Status(err) == http.StatusMethodNotAllowed || s3client.Code(err) == "MethodNotAllowed") {
		return &providers.Error{Kind: providers.NotFound, Op: op, Name: name, Err: fmt.Errorf("version %s has no bytes: it is a delete marker", *id)}
	}
	return d.fail(ctx, op, name, err)
}

// kindOf classifies an error that is not the context's end; status is the answer's, 0 where there was none.
func kindOf(err error, status int) providers.Kind {
	var api smithy.APIError
	var badCert *tls.CertificateVerificationError
	if errors.As(err, &api) {
		if k, ok := codeKinds[api.ErrorCode()]; ok {
			return k
		}
	}
	switch k, ok := statusKinds[status]; {
	case ok:
		return k
	case status >= 500:
		return providers.Temporary
	case status >= 300:
		return providers.Other
	case errors.Is(err, s3client.ErrCredentials):
		return providers.Unauthenticated
	case errors.As(err, &badCert):
		return providers.Other
	}
	// No answer, or a good one that broke off: the network's fault, unless the request never left.
	var sent *smithyhttp.RequestSendError
	var network net.Error
	var unread *smithy.DeserializationError
	if status != 0 || errors.As(err, &sent) || errors.As(err, &network) || errors.As(err, &unread) {
		return providers.Temporary
	}
	return providers.Other
}

// said is a store's answer in one line; the SDK's own text names the operation and the service once more.
type said struct {
	text string
	err  error
}

func (s *said) Error() string { return s.text }
func (s *said) Unwrap() error { return s.err }

func (d *Driver) answer(err error, status int) error {
	var parts []string
	var api smithy.APIError
	if errors.As(err, &api) {
		parts = append(parts, api.ErrorCode())
		if m := api.ErrorMessage(); m != "" && m != api.ErrorCode() {
			parts = append(parts, m)
		}
		if api.ErrorCode() == "NoSuchBucket" {
			parts = append(parts, fmt.Sprintf("the bucket %s does not exist: create it, or correct the vault's address", d.at.Bucket))
		}
	}
	tail := fmt.Sprintf("HTTP %d", status)
	var r interface{ ServiceRequestID() string }
	if errors.As(err, &r) && r.ServiceRequestID() != "" {
		tail += ", request " + r.ServiceRequestID()
	}
	return &said{text: strings.TrimSpace(strings.Join(parts, ": ") + " (" + tail + ")"), err: err}
}

// isPastEnd reports whether the store refused a range because it begins beyond the object's end; the object is there then.
func isPastEnd(err error) bool {
	var api smithy.APIError
	return s3client.Status(err) == http.StatusRequestedRangeNotSatisfiable || errors.As(err, &api) && api.ErrorCode() == "InvalidRange"
}
