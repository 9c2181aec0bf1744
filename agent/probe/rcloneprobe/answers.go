package rcloneprobe

import (
	"context"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"net"
	"net/http"
	"regexp"
	"strings"
	"syscall"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	b2 "github.com/rclone/rclone/backend/b2/api"
	webdav "github.com/rclone/rclone/backend/webdav/api"
	"github.com/rclone/rclone/fs"
	"github.com/rclone/rclone/fs/fserrors"

	"farshore/agent/probe"
	"farshore/providers"
)

// reply is what a store over HTTP said.
type reply struct {
	store  string
	status int
	code   string
	text   string
}

// denials are the answers by which a store says that it knows who asks, and that he may not. Others with the same status can mean a wrong key, a closed network, or a lock.
var denials = map[string][]reply{
	"azureblob": {
		{status: http.StatusForbidden, code: "AuthorizationPermissionMismatch"},
		{status: http.StatusForbidden, code: "UnauthorizedBlobOverwrite"},
		{status: http.StatusForbidden, code: "InsufficientAccountPermissions"},
	},
	"b2":     {{status: http.StatusUnauthorized, code: "unauthorized"}},
	"webdav": {{status: http.StatusForbidden}},
	"s3":     {{status: http.StatusForbidden, code: "AccessDenied"}},
}

// locks are the codes by which a store says that a lock refuses. B2's access_denied is also said of a key's name prefix.
var locks = map[string]bool{"BlobImmutableDueToPolicy": true, "BlobImmutableDueToLegalHold": true, "access_denied": true}

// read finds the store's answer in an error; ok is false where there is none.
func read(err error) (reply, bool) {
	var azure *azcore.ResponseError
	var b *b2.Error
	var dav *webdav.Error
	var aws interface{ HTTPStatusCode() int }
	switch {
	case errors.As(err, &azure):
		return reply{"azureblob", azure.StatusCode, azure.ErrorCode, azure.ErrorCode}, true
	case errors.As(err, &b):
		return reply{"b2", b.Status, b.Code, b.Message}, true
	case errors.As(err, &dav):
		return reply{"webdav", dav.StatusCode, "", dav.Error()}, true
	case errors.As(err, &aws):
		r := reply{store: "s3", status: aws.HTTPStatusCode(), text: err.Error()}
		var api interface{ ErrorCode() string }
		if errors.As(err, &api) {
			r.code = api.ErrorCode()
		}
		return r, true
	}
	return reply{}, false
}

// answer says what came back.
func answer(err error) probe.Result {
	if err == nil {
		return probe.Result{Answer: probe.Permitted, Code: "done", Text: "the store did it"}
	}
	if r, ok := read(err); ok {
		return r.result()
	}
	r := probe.Result{Answer: probe.Unknown, Code: "no answer", Text: line(err.Error())}
	switch {
	case errors.Is(err, iofs.ErrPermission), errors.Is(err, fs.ErrorPermissionDenied), errors.Is(err, syscall.EROFS):
		r.Answer, r.Code = probe.Denied, "permission denied"
	case providers.KindOf(err) == providers.Exists:
		r.Code = "the name is taken"
	case errors.Is(err, fs.ErrorObjectNotFound), errors.Is(err, iofs.ErrNotExist):
		r.Code = "not found"
	case errors.Is(err, fs.ErrorNotImplemented), errors.Is(err, fs.ErrorCantMove), errors.Is(err, fs.ErrorCantCopy), errors.Is(err, fs.ErrorCantSetModTime):
		r.Code, r.Absent = "the store has no such operation", true
	default:
		r.Temporary = temporary(err)
	}
	return r
}

// result says what an answer over HTTP proves.
func (a reply) result() probe.Result {
	r := probe.Result{Answer: probe.Unknown, Code: strings.TrimSpace(fmt.Sprintf("HTTP %d %s", a.status, a.code)), Text: line(a.text)}
	for _, d := range denials[a.store] {
		if a.status == d.status && a.code == d.code {
			r.Answer = probe.Denied
			return r
		}
	}
	switch {
	case locks[a.code]:
		r.Held, r.Text = true, "a lock may have refused it, which says nothing about the credential: "+r.Text
	case a.status == http.StatusRequestTimeout, a.status == http.StatusTooManyRequests, a.status >= 500 && a.status != http.StatusNotImplemented:
		r.Temporary = true
	}
	return r
}

// temporary reports whether the connection broke, so that a later attempt may have an answer.
func temporary(err error) bool {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	var op *net.OpError
	var n net.Error // which every error number of the system is too
	return errors.As(err, &op) || errors.As(err, &n) && n.Timeout() || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || fserrors.IsRetryError(err)
}

// maxText bounds what is kept of an answer.
const maxText = 500

// queried finds the query of an address, which for some stores holds a secret: the token of Azure stands there.
var queried = regexp.MustCompile(`(https?://[^\s"?]*)\?[^\s"]*`)

// line puts a text on one line, without the queries of addresses.
func line(s string) string {
	s = queried.ReplaceAllString(s, "$1")
	if s = strings.Join(strings.Fields(s), " "); len(s) > maxText {
		s = s[:maxText] + "…"
	}
	if s == "" {
		return "the store gave no reason"
	}
	return strings.ToValidUTF8(s, "?")
}
