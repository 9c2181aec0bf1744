package main

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"farshore/agent/record"
	"farshore/agent/source"
)

// TestRepositoryHint holds errors of servers of repositories and of their programs to say what to do, and others to say nothing that is beside the point.
func TestRepositoryHint(t *testing.T) {
	other := func(detail string) error { return &source.Unreadable{Reason: record.ReasonOther, Detail: detail} }
	for _, c := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("the git program can't be run: %w", &exec.Error{Name: "git", Err: exec.ErrNotFound}), "apt install git)"},
		{fmt.Errorf("the program svnadmin can't be run: %w", exec.ErrNotFound), "apt install subversion"},
		{fmt.Errorf("start: %w", &exec.Error{Name: "ssh", Err: exec.ErrNotFound}), "apt install openssh-client"},
		{other("dial tcp 127.0.0.1:9: connect: connection refused"), "nothing listens"},
		{errors.New("svn: E000111: Can't connect to host 'x': Connection refused"), "nothing listens"},
		{other("tls: failed to verify certificate: x509: certificate signed by unknown authority"), "does not trust"},
		{errors.New("svn: E230001: Server SSL certificate verification failed: issuer is not trusted"), "does not trust"},
		{other(`ssh says "Host key verification failed.": check`), "compare the fingerprint"},
		{errors.New("dial tcp: lookup git.example.net: no such host"), "name is not known"},
		{errors.New("svn: E670002: Name or service not known"), "name is not known"},
		{errors.New("fatal: Authentication failed for 'https://git.example.net/app.git/'"), "--password-file"},
		{&source.Unreadable{Reason: record.ReasonDenied, Detail: "the server answers with a web page"}, "--password-file"},
		{errors.New("token is open to others than its owner (mode 0644): run chmod 600 token"), "run the command again"},
		{other("the object 4010000000000000000000000000000000000000 is missing"), ""},
		{errors.New("the server fails (500 Internal Server Error)"), ""},
	} {
		if got := hint(c.err); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%v: hint %q, not %q", c.err, got, c.want)
		}
	}
}
