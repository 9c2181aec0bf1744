package gcsprobe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/api/googleapi"

	"farshore/agent/probe"
)

// temporary reports whether a later attempt may have an answer: the store is busy, or the connection broke. An object takes about one change a second.
func temporary(err error) bool {
	var n net.Error
	switch s := status(err); {
	case s != 0:
		return s == http.StatusTooManyRequests || s == http.StatusRequestTimeout || s >= 500 && s != http.StatusNotImplemented
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return false
	}
	return errors.As(err, &n) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// status is the status of the store's answer; 0 where err is none.
func status(err error) int {
	var api *googleapi.Error
	if errors.As(err, &api) {
		return api.Code
	}
	return 0
}

// answer says what came back. A refusal is a denial only where it names a permission, and one that changes something: a credential that can't read the source of a copy may be able to
// replace all the same. A condition that was not met was looked at after the permission.
func answer(err error) probe.Result {
	if err == nil {
		return probe.Result{Answer: probe.Permitted, Code: "HTTP 200", Text: "the store did it"}
	}
	var api *googleapi.Error
	if !errors.As(err, &api) {
		return probe.Result{Answer: probe.Unknown, Code: "no answer", Text: err.Error(), Temporary: temporary(err)}
	}
	r := probe.Result{Answer: probe.Unknown, Temporary: temporary(err), Code: strings.TrimSpace(fmt.Sprintf("HTTP %d %s", api.Code, reason(api))), Text: text(api)}
	switch {
	case api.Code == http.StatusPreconditionFailed:
		r.Answer, r.Text = probe.Permitted, "only the impossible condition kept the store from doing it: "+r.Text
	case api.Code == http.StatusForbidden && locked(api):
		r.Held, r.Text = true, "a lock refused it, which says nothing about the credential: "+r.Text
	case api.Code == http.StatusNotFound:
		r.Held = true
	case api.Code == http.StatusForbidden && reason(api) == "forbidden":
		if p := missing(r.Text); p != "" && !harmless(p) {
			r.Answer = probe.Denied
		}
	}
	return r
}

// locked reports whether a lock or a hold is the reason of a refusal.
func locked(api *googleapi.Error) bool {
	return slices.Contains([]string{"retentionPolicyNotMet", "objectUnderActiveHold"}, reason(api))
}

// reason is the store's own word for an error, "" where it gives none.
func reason(api *googleapi.Error) string {
	if len(api.Errors) == 0 {
		return ""
	}
	return api.Errors[0].Reason
}

// maxText bounds what is kept of an answer.
const maxText = 500

// text is what the store said, on one line.
func text(api *googleapi.Error) string {
	s := api.Message
	if s == "" {
		s = api.Body
	}
	if s = strings.Join(strings.Fields(s), " "); len(s) > maxText {
		s = s[:maxText] + "…"
	}
	if s == "" {
		s = http.StatusText(api.Code)
	}
	return strings.ToValidUTF8(s, "?")
}

// named finds the permission in "X does not have storage.objects.delete access to …" and "Permission 'storage.objects.delete' denied on …".
var named = regexp.MustCompile(`(?:does not have|Permission ')\s*(storage\.[A-Za-z]+\.[A-Za-z]+)`)

// missing is the permission that a refusal names, or "".
func missing(s string) string {
	if m := named.FindStringSubmatch(s); m != nil {
		return m[1]
	}
	return ""
}

// harmless reports whether a permission only lets read.
func harmless(permission string) bool {
	verb := permission[strings.LastIndexByte(permission, '.')+1:]
	return strings.HasPrefix(verb, "get") || verb == "list"
}

// unread reports whether a result is a refusal to read.
func unread(r probe.Result) bool {
	p := missing(r.Text)
	return r.Answer == probe.Unknown && p != "" && harmless(p)
}

// refused is the result of a probe that was not made.
func refused(err error) probe.Result {
	return probe.Result{Answer: probe.Unknown, Code: "not tried", Text: err.Error()}
}
