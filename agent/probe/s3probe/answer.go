package s3probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"farshore/agent/probe"
	"farshore/providers/s3/s3client"
)

// classify says what an answer proves. Only the code AccessDenied with status 403 is a denial: other refusals mean that the credential itself is not
// good, that the request could not be read, or that a lock held.
func classify(err error) probe.Result {
	if err == nil {
		return accepted("accepted")
	}
	code, message := codeOf(err)
	status := s3client.Status(err)
	r := probe.Result{Answer: probe.Unknown, Code: codeText(code, status), Text: message}
	switch {
	case errors.Is(err, errNotSent), errors.Is(err, context.Canceled):
		r.Text = err.Error()
	case status == 0:
		r.Text, r.Temporary = err.Error(), disturbed(err)
	case lockRefused(code, message):
		r.Held, r.Text = true, "refused by the lock, not by the credential: "+message
	case status == http.StatusForbidden && code == "AccessDenied":
		r.Answer = probe.Denied
	case temporary(code, status):
		r.Temporary = true
	}
	return r
}

var errNotSent = errors.New("not sent")

func refused(err error) probe.Result {
	return classify(fmt.Errorf("%w: %w", errNotSent, err))
}

func accepted(how string) probe.Result {
	return probe.Result{Answer: probe.Permitted, Code: how, Text: "the store did it"}
}

// codeOf returns the service's code and message, empty where it sent none.
func codeOf(err error) (code, message string) {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode(), api.ErrorMessage()
	}
	return "", ""
}

func codeText(code string, status int) string {
	switch {
	case status == 0:
		return code
	case code == "":
		return fmt.Sprintf("HTTP %d", status)
	}
	return fmt.Sprintf("%s (HTTP %d)", code, status)
}

// lockRefused reports whether the service says that a lock kept it from doing what the credential may. Some send the same code and status as for a denial:
// then only the words differ. A denial that names the missing permission, s3:PutObjectRetention for example, is none.
func lockRefused(code, message string) bool {
	m := strings.ToLower(message)
	if strings.Contains(m, "not authorized to perform") {
		return false
	}
	if code == "ObjectLocked" || code == "ObjectLockedByBucketPolicy" {
		return true
	}
	for _, words := range []string{"object lock", "worm", "is locked", "object protected", "object is protected"} {
		if strings.Contains(m, words) {
			return !strings.Contains(m, "configuration") // "Object Lock configuration does not exist" is about the bucket
		}
	}
	return false
}

// disturbed reports whether an error without an answer is the network's, which a later attempt may not meet.
func disturbed(err error) bool {
	var sent *smithyhttp.RequestSendError
	var network net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &sent) || errors.As(err, &network)
}

// temporary reports whether the service asks to come back later. InternalError is what AWS documents so.
func temporary(code string, status int) bool {
	switch code {
	case "SlowDown", "SlowDownRead", "SlowDownWrite", "Throttling", "ThrottlingException", "TooManyRequests", "RequestLimitExceeded", "RequestTimeout", "InternalError",
		"OperationAborted", "ConditionalRequestConflict":
		return true
	}
	switch status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// both is what two forms of one attempt come to: permitted where one was, denied only where each was.
func both(a, b probe.Result) probe.Result {
	for _, answer := range []probe.Answer{probe.Permitted, probe.Unknown} {
		for _, r := range []probe.Result{b, a} {
			if r.Answer == answer {
				r.Temporary = a.Temporary || b.Temporary
				return r
			}
		}
	}
	return a
}
