package rcloneprobe

import (
	"context"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	b2 "github.com/rclone/rclone/backend/b2/api"
	webdav "github.com/rclone/rclone/backend/webdav/api"
	"github.com/rclone/rclone/fs"

	"farshore/agent/probe"
	"farshore/providers"
	"farshore/providers/servers"
)

// s3Error is an error as the S3 client gives it.
type s3Error struct {
	status int
	code   string
}

func (e s3Error) Error() string       { return e.code }
func (e s3Error) ErrorCode() string   { return e.code }
func (e s3Error) HTTPStatusCode() int { return e.status }

// TestAnswers holds each store's answer to what it proves.
func TestAnswers(t *testing.T) {
	azure := func(status int, code string) error { return &azcore.ResponseError{StatusCode: status, ErrorCode: code} }
	tests := []struct {
		err               error
		want              probe.Answer
		temporary, absent bool
		code              string
	}{
		{err: nil, want: probe.Permitted, code: "done"},
		{err: azure(403, "AuthorizationPermissionMismatch"), want: probe.Denied, code: "HTTP 403 AuthorizationPermissionMismatch"},
		{err: azure(403, "UnauthorizedBlobOverwrite"), want: probe.Denied},
		{err: azure(403, "InsufficientAccountPermissions"), want: probe.Denied},
		{err: azure(403, "AuthenticationFailed"), want: probe.Unknown},
		{err: azure(403, "AuthorizationFailure"), want: probe.Unknown}, // a firewall's, too
		{err: azure(409, "BlobImmutableDueToPolicy"), want: probe.Unknown},
		{err: azure(409, "UnauthorizedBlobOverwrite"), want: probe.Unknown},
		{err: azure(503, "ServerBusy"), want: probe.Unknown, temporary: true},
		{err: &b2.Error{Status: 401, Code: "unauthorized"}, want: probe.Denied, code: "HTTP 401 unauthorized"},
		{err: &b2.Error{Status: 401, Code: "bad_auth_token"}, want: probe.Unknown},
		{err: &b2.Error{Status: 401, Code: "access_denied"}, want: probe.Unknown},
		{err: &b2.Error{Status: 403, Code: "unauthorized"}, want: probe.Unknown},
		{err: &b2.Error{Status: 429, Code: "too_many_requests"}, want: probe.Unknown, temporary: true},
		{err: &webdav.Error{StatusCode: 403}, want: probe.Denied, code: "HTTP 403"},
		{err: &webdav.Error{StatusCode: 401}, want: probe.Unknown},
		{err: &webdav.Error{StatusCode: 405}, want: probe.Unknown},
		{err: &webdav.Error{StatusCode: 423}, want: probe.Unknown},
		{err: &webdav.Error{StatusCode: 501}, want: probe.Unknown},
		{err: s3Error{403, "AccessDenied"}, want: probe.Denied, code: "HTTP 403 AccessDenied"},
		{err: s3Error{403, "SignatureDoesNotMatch"}, want: probe.Unknown},
		{err: s3Error{403, ""}, want: probe.Unknown},
		{err: s3Error{503, "SlowDown"}, want: probe.Unknown, temporary: true},
		{err: iofs.ErrPermission, want: probe.Denied, code: "permission denied"},
		{err: fs.ErrorPermissionDenied, want: probe.Denied},
		{err: syscall.EACCES, want: probe.Denied},
		{err: syscall.EPERM, want: probe.Denied},
		{err: syscall.EROFS, want: probe.Denied},
		{err: syscall.EIO, want: probe.Unknown},
		{err: iofs.ErrNotExist, want: probe.Unknown, code: "not found"},
		{err: fs.ErrorObjectNotFound, want: probe.Unknown, code: "not found"},
		{err: fs.ErrorCantMove, want: probe.Unknown, absent: true},
		{err: fs.ErrorNotImplemented, want: probe.Unknown, absent: true},
		{err: &providers.Error{Kind: providers.Exists, Err: errors.New("taken")}, want: probe.Unknown, code: "the name is taken"},
		{err: io.ErrUnexpectedEOF, want: probe.Unknown, temporary: true},
		{err: &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, want: probe.Unknown, temporary: true},
		{err: context.DeadlineExceeded, want: probe.Unknown},
		{err: errors.New("403 Forbidden\npermission\tdenied"), want: probe.Unknown},
	}
	for _, test := range tests {
		name := fmt.Sprintf("%T %v", test.err, test.err)
		wrapped := test.err
		if wrapped != nil {
			wrapped = fmt.Errorf("update: %w", test.err)
		}
		r := answer(wrapped)
		if r.Answer != test.want || r.Temporary != test.temporary || r.Absent != test.absent {
			t.Errorf("%s: %+v", name, r)
		}
		if lock := strings.Contains(r.Text, "a lock may have refused it"); r.Held != lock || lock != (strings.Contains(name, "Immutable") || strings.Contains(name, "access_denied")) {
			t.Errorf("%s: %+v", name, r)
		}
		if test.code != "" && r.Code != test.code || r.Code == "" || r.Text == "" || strings.ContainsAny(r.Text, "\n\t") {
			t.Errorf("%s: code %q, text %q", name, r.Code, r.Text)
		}
	}
	if r := answer(&b2.Error{Status: http.StatusBadRequest, Code: "x", Message: strings.Repeat("ä", maxText)}); len(r.Text) > maxText+3 {
		t.Errorf("%d bytes of text", len(r.Text))
	}
}

// TestNoSecret has a store that can no longer be reached: what is said of that, and kept in a report, does not have the token that stands in each of Azure's addresses.
func TestNoSecret(t *testing.T) {
	t.Parallel()
	server := servers.HTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("comp") != "list" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", "application/xml")
		_, _ = w.Write([]byte(`<EnumerationResults><Blobs></Blobs><NextMarker/></EnumerationResults>`))
	}))
	ctx, a := open(t, "rclone::azureblob,sas_url='"+server.URL+"/vault?sp=rcl&sr=c&sig=topsecret%2Fsignature%3D':vault/a")
	server.Close()
	said := 0
	for _, p := range a.Object() {
		for _, exists := range []bool{true, false} {
			one, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
			r := p.Try(one, probe.Canary{Name: "packs/canary/a", Exists: exists})
			cancel()
			if said++; strings.Contains(r.Code+r.Text, "topsecret") {
				t.Errorf("%s: %+v", p.Probe, r)
			}
		}
	}
	if said == 0 {
		t.Fatal("nothing was tried")
	}
	// The backend gives the error of its transport as it is.
	_, err := http.Get(server.URL + "/vault/x?sp=rcl&sig=topsecret%2Fsignature%3D")
	if r := answer(fmt.Errorf("put: %w", err)); strings.Contains(r.Text, "topsecret") || !strings.Contains(r.Text, "refused") {
		t.Errorf("%+v", r)
	}
}
