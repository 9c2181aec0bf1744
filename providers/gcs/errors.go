package gcs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/storage"
	"golang.org/x/oauth2"
	"google.golang.org/api/googleapi"

	"farshore/providers"
)

// fail gives err its kind.
func (d *Driver) fail(op, name string, err error) error {
	kind := kindOf(op, err)
	if missingBucket(op, err) {
		kind = providers.NotFound
		err = fmt.Errorf("bucket %s does not exist: create it, or correct the vault's URL: %w", d.place.bucket, err)
	}
	return &providers.Error{Kind: kind, Op: op, Name: name, Err: err}
}

// missingBucket reports whether err says that the bucket itself is not there. A create and a list need no object, so for them "not found" can
// only mean the bucket.
func missingBucket(op string, err error) bool {
	if errors.Is(err, storage.ErrBucketNotExist) {
		return true
	}
	var api *googleapi.Error
	if !errors.As(err, &api) || api.Code != http.StatusNotFound {
		return false
	}
	return op == "create" || op == "list" || strings.Contains(strings.ToLower(api.Message), "bucket does not exist")
}

// kindOf classifies an error of the client library.
func kindOf(op string, err error) providers.Kind {
	var api *googleapi.Error
	switch {
	case errors.Is(err, storage.ErrObjectNotExist):
		return providers.NotFound
	case errors.As(err, &api):
		return kindOfStatus(op, api)
	case errors.Is(err, context.Canceled):
		return providers.Other
	case isCredential(err):
		return providers.Unauthenticated
	case damaged(err):
		return providers.Corrupt
	case broken(err):
		return providers.Temporary
	}
	return providers.Other
}

// kindOfStatus classifies an answer of the store.
func kindOfStatus(op string, e *googleapi.Error) providers.Kind {
	switch {
	case e.Code == http.StatusNotFound:
		return providers.NotFound
	case e.Code == http.StatusPreconditionFailed:
		return providers.Exists
	case e.Code == http.StatusUnauthorized:
		return providers.Unauthenticated
	case e.Code == http.StatusTooManyRequests || e.Code == http.StatusForbidden && reason(e, "rateLimitExceeded", "userRateLimitExceeded"):
		return providers.Throttled
	case e.Code == http.StatusForbidden && op == "create" && strings.Contains(text(e), "storage.objects.delete"):
		// Only replacing an object needs this permission: a credential that lacks it learns so that the name exists.
		return providers.Exists
	case e.Code == http.StatusForbidden && reason(e, "quotaExceeded"):
		return providers.Full
	case e.Code == http.StatusForbidden:
		return providers.Denied
	case e.Code == http.StatusBadRequest && op == "create" && wrongChecksum(text(e)):
		return providers.Corrupt
	case e.Code == http.StatusRequestTimeout || e.Code >= 500:
		return providers.Temporary
	}
	return providers.Other
}

// reason reports whether the store gave one of the reasons. The library leaves a refused read's answer undecoded in the body.
func reason(e *googleapi.Error, reasons ...string) bool {
	for _, item := range e.Errors {
		if slices.Contains(reasons, item.Reason) {
			return true
		}
	}
	return slices.ContainsFunc(reasons, func(r string) bool { return strings.Contains(e.Body, `"`+r+`"`) })
}

// text is all that the store said.
func text(e *googleapi.Error) string { return e.Message + "\n" + e.Body }

// wrongChecksum recognizes the store's refusal of a body that differs from the checksum sent with it: "Provided CRC32C "…" doesn't match
// calculated CRC32C "…"".
func wrongChecksum(s string) bool {
	s = strings.ToLower(s)
	return (strings.Contains(s, "crc32c") || strings.Contains(s, "md5")) && strings.Contains(s, "match")
}

// isCredential reports whether no token could be had because the credential was refused, as against a token service that can't be reached.
func isCredential(err error) bool {
	var a *auth.Error
	if errors.As(err, &a) && a.Response != nil {
		return a.Response.StatusCode >= 400 && a.Response.StatusCode < 500 && a.Response.StatusCode != http.StatusTooManyRequests
	}
	var o *oauth2.RetrieveError
	return errors.As(err, &o) && o.Response != nil && o.Response.StatusCode >= 400 && o.Response.StatusCode < 500
}

// damaged reports whether bytes were lost or changed on the way. The library has no error values for checksums.
func damaged(err error) bool {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return true
	}
	s := err.Error()
	return strings.Contains(s, "storage: bad CRC") || strings.Contains(s, "storage: object checksum mismatch") || strings.Contains(s, "storage: partial request not satisfied")
}

// broken reports whether the connection failed, or the time ran out.
func broken(err error) bool {
	var n net.Error
	return errors.As(err, &n) || errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) ||
		strings.Contains(err.Error(), "connection") || strings.Contains(err.Error(), "http2:")
}
