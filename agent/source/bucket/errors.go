package bucket

import (
	"context"
	"crypto/tls"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"farshore/agent/record"
)

// apiError is a store's refusal.
type apiError struct {
	status  int
	code    string
	message string
	request string // the store's id of the request, for its support
}

// Error returns one line: status, code, message and request id.
func (e *apiError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d", e.status)
	for _, s := range []string{e.code, e.message} {
		if s = line(s); s != "" {
			b.WriteString(" " + s)
		}
	}
	if e.request != "" {
		b.WriteString(" (request " + line(e.request) + ")")
	}
	return b.String()
}

// What a store refuses as a whole, for errors.Is.
var (
	// ErrDenied: the credential is known, and may not do this.
	ErrDenied = errors.New("the store denies it")
	// ErrCredential: there is no credential, or a wrong or expired one.
	ErrCredential = errors.New("the store does not take the credential")
	// ErrNoBucket: there is no such bucket.
	ErrNoBucket = errors.New("there is no such bucket")
)

// Is says which of the errors above it is.
func (e *apiError) Is(target error) bool {
	switch e.code {
	case "NoSuchBucket":
		return target == ErrNoBucket
	case "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "TokenRefreshRequired":
		return target == ErrCredential
	}
	if e.status == http.StatusUnauthorized {
		return target == ErrCredential
	}
	return target == ErrDenied && e.status == http.StatusForbidden && sourceCodes[e.code] == ""
}

// line makes what a store said fit into one line of at most 300 bytes.
func line(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > 300 {
		s = strings.ToValidUTF8(s[:300], "") + "…"
	}
	return s
}

// errorBody is the most bytes of a refusal that are read.
const errorBody = 64 << 10

// refusal reads the error of a response that is none of 200 and 206, and leaves the connection reusable.
func refusal(resp *http.Response) *apiError {
	e := &apiError{status: resp.StatusCode, request: resp.Header.Get("X-Amz-Request-Id")}
	body, _ := io.ReadAll(io.LimitReader(resp.Body, errorBody)) // a body cut short says less, and the status still counts
	var doc struct {
		Code    string `xml:"Code"`
		Message string `xml:"Message"`
	}
	if xml.Unmarshal(body, &doc) == nil {
		e.code, e.message = doc.Code, doc.Message
	}
	if e.code == "" {
		e.message = strings.TrimSpace(http.StatusText(resp.StatusCode))
	}
	return e
}

// fromSDK turns an error of the SDK's client into an *apiError where the store answered.
func fromSDK(err error) error {
	var resp *smithyhttp.ResponseError
	var api smithy.APIError
	if !errors.As(err, &resp) || !errors.As(err, &api) {
		return err
	}
	e := &apiError{status: resp.HTTPStatusCode(), code: api.ErrorCode(), message: api.ErrorMessage()}
	if h := resp.HTTPResponse(); h != nil {
		e.request = h.Header.Get("X-Amz-Request-Id")
	}
	return e
}

// sourceCodes are codes that say nothing about one object: the credential, the clock, the bucket or the region is wrong.
var sourceCodes = map[string]string{
	"InvalidAccessKeyId":                 "the access key is unknown to the store",
	"SignatureDoesNotMatch":              "the secret key is wrong, or a proxy changes requests",
	"ExpiredToken":                       "the credential has expired",
	"InvalidToken":                       "the session token is not accepted",
	"TokenRefreshRequired":               "the session token must be renewed",
	"RequestTimeTooSkewed":               "this machine's clock is wrong",
	"NoSuchBucket":                       "there is no such bucket",
	"InvalidBucketName":                  "the bucket's name is not allowed",
	"AuthorizationHeaderMalformed":       "the region is wrong",
	"PermanentRedirect":                  "the bucket is at another endpoint",
	"TemporaryRedirect":                  "the bucket is at another endpoint",
	"IllegalLocationConstraintException": "the region is wrong",
	"AllAccessDisabled":                  "the account is disabled",
	"AccountProblem":                     "the account has a problem",
	"NotSignedUp":                        "the account is not signed up",
	"XAmzContentSHA256Mismatch":          "a proxy changes requests",
}

// slow reports whether the store asks to slow down.
func (e *apiError) slow() bool {
	switch e.code {
	case "SlowDown", "SlowDownRead", "SlowDownWrite", "Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequests", "BandwidthLimitExceeded":
		return true
	}
	return e.status == http.StatusServiceUnavailable || e.status == http.StatusTooManyRequests
}

// temporary reports whether a later attempt may succeed.
func (e *apiError) temporary() bool {
	if e.slow() || e.code == "RequestTimeout" || e.code == "OperationAborted" || e.code == "ConditionalRequestConflict" {
		return true
	}
	return e.status >= 500 && e.status != http.StatusNotImplemented || e.status == http.StatusRequestTimeout
}

// gone reports whether the object is not there.
func (e *apiError) gone() bool {
	return e.status == http.StatusNotFound && e.code != "NoSuchBucket"
}

// changed reports whether the object is not the one that was asked for.
func (e *apiError) changed() bool { return e.status == http.StatusPreconditionFailed }

// reason returns why one object can't be read (docs/format.md, section 5.1.2), or "" where the refusal is none or is not about one object.
func (e *apiError) reason() string {
	if _, ok := sourceCodes[e.code]; ok || e.status < 400 || e.status >= 500 || e.status == http.StatusUnauthorized || e.gone() || e.changed() || e.temporary() {
		return ""
	}
	message := strings.ToLower(e.message)
	switch {
	case e.code == "InvalidObjectState":
		return record.ReasonArchived
	case strings.HasPrefix(e.code, "KMS") || strings.Contains(message, "kms:"):
		return record.ReasonKMS
	case e.status == http.StatusBadRequest && e.customerKey(message):
		return record.ReasonCustomerKey
	case e.status == http.StatusForbidden:
		return record.ReasonDenied
	case e.code == "XMinioInvalidObjectName" || e.code == "KeyTooLongError":
		return record.ReasonBadName
	}
	return record.ReasonOther
}

// customerKey reports whether the refusal asks for the key that the object's owner encrypted it with.
func (e *apiError) customerKey(message string) bool {
	return strings.HasPrefix(e.code, "SSECustomer") || strings.Contains(message, "server side encryption") ||
		strings.Contains(message, "server-side-encryption-customer") || strings.Contains(message, "sse-c") || strings.Contains(message, "customer key")
}

// protocolError says that the store does not do what S3 promises. Trying again is of no use.
type protocolError struct{ what string }

// Error says what the store did.
func (e *protocolError) Error() string { return "the store " + e.what }

func broken(format string, args ...any) error {
	return &protocolError{fmt.Sprintf(format, args...)}
}

// temporary reports whether a later attempt at the same request may succeed, and slow whether the store asked to slow down. Whatever is no
// answer of the store is a failure on the way to it.
func temporary(err error) (again, slow bool) {
	var ae *apiError
	var cert *tls.CertificateVerificationError
	var bad *protocolError
	switch {
	case errors.As(err, &ae):
		return ae.temporary(), ae.slow()
	case errors.Is(err, context.Canceled), errors.As(err, &cert), errors.As(err, &bad):
		return false, false
	}
	return true, false
}

// failure says what a request was about, and what people can do where the code tells.
func (s *Source) failure(what string, err error) error {
	var ae *apiError
	if errors.As(err, &ae) {
		if hint := sourceCodes[ae.code]; hint != "" {
			return fmt.Errorf("%s in bucket %s: %w: %s", what, s.o.Bucket, err, hint)
		}
	}
	return fmt.Errorf("%s in bucket %s: %w", what, s.o.Bucket, err)
}
