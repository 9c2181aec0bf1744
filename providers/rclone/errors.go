package rclone

import (
	"context"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"net/http"
	"strings"
	"syscall"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	b2 "github.com/rclone/rclone/backend/b2/api"
	webdav "github.com/rclone/rclone/backend/webdav/api"
	"github.com/rclone/rclone/fs"
	"github.com/rclone/rclone/fs/fserrors"
	"github.com/rclone/rclone/lib/file"

	"farshore/providers"
)

// fail gives err its kind.
func fail(op, name string, err error) error {
	kind := kindOf(op, err)
	if text := err.Error(); strings.Contains(text, "\n") {
		err = brief{text: short(err, text), err: err}
	}
	return &providers.Error{Kind: kind, Op: op, Name: name, Err: err}
}

// brief is an error with a text of one line.
type brief struct {
	text string
	err  error
}

func (b brief) Error() string { return b.text }
func (b brief) Unwrap() error { return b.err }

// short leaves Azure's answer out of what Azure's client says, but for the status and the code, and joins the lines of all else.
func short(err error, text string) string {
	var azure *azcore.ResponseError
	if errors.As(err, &azure) {
		return fmt.Sprintf("the store answered %d %s", azure.StatusCode, azure.ErrorCode)
	}
	return strings.Join(strings.Fields(text), " ")
}

// kindOf classifies an error of rclone or of a backend.
func kindOf(op string, err error) providers.Kind {
	if err == nil || errors.Is(err, context.Canceled) {
		return providers.Other
	}
	for _, k := range sentinels {
		if errors.Is(err, k.err) {
			return k.kind
		}
	}
	if status, code := answer(err); status != 0 {
		return kindOfAnswer(op, status, code)
	}
	switch {
	case strings.Contains(err.Error(), "ssh: unable to authenticate"):
		return providers.Unauthenticated
	case fserrors.IsRetryError(err) || fserrors.ShouldRetry(err):
		return providers.Temporary
	}
	return providers.Other
}

// sentinels are the errors that have a value.
var sentinels = []struct {
	err  error
	kind providers.Kind
}{
	{errExists, providers.Exists},
	{errDamaged, providers.Corrupt},
	{io.ErrUnexpectedEOF, providers.Corrupt},
	{fs.ErrorObjectNotFound, providers.NotFound},
	{fs.ErrorDirNotFound, providers.NotFound},
	{fs.ErrorIsDir, providers.NotFound},
	{fs.ErrorNotAFile, providers.NotFound},
	{iofs.ErrNotExist, providers.NotFound},
	{syscall.ENOTDIR, providers.NotFound},
	{fs.ErrorPermissionDenied, providers.Denied},
	{iofs.ErrPermission, providers.Denied},
	{syscall.EROFS, providers.Denied},
	{file.ErrDiskFull, providers.Full},
	{syscall.ENOSPC, providers.Full},
	{syscall.EDQUOT, providers.Full},
	{fs.ErrorNotImplemented, providers.Unsupported},
	{fs.ErrorCantMove, providers.Unsupported},
}

// answer returns the HTTP status of a store's answer and the store's own code for it; 0 where err is no answer of an HTTP store.
func answer(err error) (status int, code string) {
	var azure *azcore.ResponseError
	var b *b2.Error
	var dav *webdav.Error
	var aws interface{ HTTPStatusCode() int }
	switch {
	case errors.As(err, &azure):
		return azure.StatusCode, azure.ErrorCode
	case errors.As(err, &b):
		return b.Status, b.Code
	case errors.As(err, &dav):
		return dav.StatusCode, ""
	case errors.As(err, &aws):
		var api interface{ ErrorCode() string }
		if errors.As(err, &api) {
			code = api.ErrorCode()
		}
		return aws.HTTPStatusCode(), code
	}
	return 0, ""
}

// codes are stores' own codes that say more than the status does. Azure answers 403 to a credential that may create only, and 409 under an
// immutability policy, when a name is taken.
var codes = map[string]providers.Kind{
	"UnauthorizedBlobOverwrite": providers.Exists, "BlobAlreadyExists": providers.Exists, "BlobImmutableDueToPolicy": providers.Exists,
	"AuthenticationFailed": providers.Unauthenticated, "InvalidAuthenticationInfo": providers.Unauthenticated,
	"InvalidAccessKeyId": providers.Unauthenticated, "SignatureDoesNotMatch": providers.Unauthenticated,
	"ExpiredToken": providers.Unauthenticated, "InvalidToken": providers.Unauthenticated,
	"SlowDown": providers.Throttled, "ServerBusy": providers.Throttled,
	"Md5Mismatch": providers.Corrupt, "BadDigest": providers.Corrupt,
	"storage_cap_exceeded": providers.Full, "cap_exceeded": providers.Full,
}

// kindOfAnswer classifies an HTTP answer.
func kindOfAnswer(op string, status int, code string) providers.Kind {
	if k, ok := codes[code]; ok && (k != providers.Exists || op == "create") {
		return k
	}
	switch status {
	case http.StatusUnauthorized:
		return providers.Unauthenticated
	case http.StatusForbidden:
		return providers.Denied
	case http.StatusNotFound, http.StatusGone:
		return providers.NotFound
	case http.StatusPreconditionFailed:
		if op == "create" {
			return providers.Exists
		}
	case http.StatusTooManyRequests:
		return providers.Throttled
	case http.StatusInsufficientStorage:
		return providers.Full
	case http.StatusNotImplemented:
		return providers.Unsupported
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusLocked:
		return providers.Temporary
	}
	if status >= 500 {
		return providers.Temporary
	}
	return providers.Other
}
