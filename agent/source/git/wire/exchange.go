package wire

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"farshore/agent/record"
	"farshore/agent/source"
	"farshore/agent/source/git/internal/web"
)

// httpMessage is one request, which may be sent more than once.
type httpMessage struct {
	method, to string
	body       []byte
	encoding   string
}

// squeezeFrom is from which size on a request is compressed, in bytes, as git does.
const squeezeFrom = 1024

func (m *httpMessage) squeeze(body []byte) error {
	m.body = body
	if len(body) <= squeezeFrom {
		return nil
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(body); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	m.body, m.encoding = b.Bytes(), "gzip"
	return nil
}

// credential is what a request says of who asks, or why it says nothing.
type credential struct {
	username, password string
	why                string
}

// Why a credential is sent or not.
const (
	sent     = "sent"
	none     = "none"
	notPlain = "not over plain http"
	notThere = "not to another host"
)

// credential decides whether a request to that place may say who asks.
func (l *httpLink) credential(to string) (credential, error) {
	switch u, err := url.Parse(to); {
	case l.r.o.Password == nil:
		return credential{why: none}, nil
	case err != nil || !l.r.at.sameHost(u):
		return credential{why: notThere}, nil
	case u.Scheme != "https" && !loopback(u.Hostname()):
		return credential{why: notPlain}, nil
	}
	password, err := l.r.o.Password(l.g.ctx)
	if err != nil {
		return credential{}, fmt.Errorf("the credential can't be read: %w", err)
	}
	username := l.r.o.Username
	if username == "" {
		username = "git"
	}
	return credential{username: username, password: password, why: sent}, nil
}

// sameHost reports whether a URL is on the host that was configured; plain http may have become https there.
func (a address) sameHost(u *url.URL) bool {
	if !strings.EqualFold(a.host, u.Hostname()) {
		return false
	}
	port, other := portOf(a.scheme, a.port), portOf(u.Scheme, u.Port())
	return port == other || a.scheme == "http" && u.Scheme == "https" && port == "80" && other == "443"
}

func portOf(scheme, port string) string {
	switch {
	case port != "":
		return port
	case scheme == "https":
		return "443"
	}
	return "80"
}

// sendOnce sends a request and returns the answer's head.
func (l *httpLink) sendOnce(m *httpMessage, c credential) (*http.Response, error) {
	req, err := http.NewRequestWithContext(l.g.ctx, m.method, m.to, nil)
	if err != nil {
		return nil, err
	}
	l.fill(req, m)
	if c.why == sent {
		req.SetBasicAuth(c.username, c.password)
	}
	l.g.arm()
	resp, err := l.r.client.Do(req)
	l.g.disarm()
	if err != nil {
		return nil, l.unreached(err)
	}
	return resp, nil
}

func (l *httpLink) fill(req *http.Request, m *httpMessage) {
	req.Header.Set("User-Agent", l.r.o.UserAgent)
	req.Header.Set("Pragma", "no-cache")
	if l.r.version > 0 {
		req.Header.Set("Git-Protocol", "version="+strconv.Itoa(l.r.version))
	}
	if m.method != http.MethodPost {
		return
	}
	req.Header.Set("Content-Type", requestType)
	req.Header.Set("Accept", resultType)
	if m.encoding != "" {
		req.Header.Set("Content-Encoding", m.encoding)
	}
	req.ContentLength = int64(len(m.body))
	req.GetBody = func() (io.ReadCloser, error) {
		return io.NopCloser(&upload{g: l.g, Reader: bytes.NewReader(m.body)}), nil
	}
	req.Body, _ = req.GetBody() // it never fails
}

// upload is a request's body: a server that takes it slowly is not idle.
type upload struct {
	g *guard
	*bytes.Reader
}

func (u *upload) Read(p []byte) (int, error) {
	u.g.progress()
	return u.Reader.Read(p)
}

// WriteTo is hidden, as it would pass by Read.
func (u *upload) WriteTo(w io.Writer) (int64, error) {
	return io.Copy(w, struct{ io.Reader }{u})
}

// unreached makes an error of a request that got no answer: some may pass, a certificate that does not fit will not.
func (l *httpLink) unreached(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err // the address is said elsewhere
	}
	if l.g.ctx.Err() != nil {
		return context.Cause(l.g.ctx)
	}
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var name x509.HostnameError
	if errors.As(err, &unknown) || errors.As(err, &invalid) || errors.As(err, &name) {
		return err
	}
	return &passing{err: err}
}

// judge makes an error of every answer that is neither a success nor a redirect.
func (l *httpLink) judge(resp *http.Response, c credential) error {
	status := resp.StatusCode
	after, hasAfter := web.RetryAfter(resp.Header.Get("Retry-After"), time.Now())
	if status == http.StatusOK || status/100 == 3 {
		return nil
	}
	said := l.saidBy(resp)
	switch {
	case status == http.StatusTooManyRequests, status == http.StatusBadGateway, status == http.StatusServiceUnavailable, status == http.StatusGatewayTimeout,
		status == http.StatusForbidden && hasAfter:
		return &passing{err: fmt.Errorf("the server has no time now (%s)%s", clean(resp.Status), said), after: after}
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusUnavailableForLegalReasons:
		return denied(fmt.Sprintf("the server refuses (%s)%s: %s", clean(resp.Status), said, c.hint()))
	case status == http.StatusNotFound, status == http.StatusGone:
		return fmt.Errorf("%w: the server has no repository there, or does not show it to this credential (%s)%s", source.ErrGone, clean(resp.Status), said)
	case status == http.StatusProxyAuthRequired:
		return fmt.Errorf("the proxy wants a credential (%s)", clean(resp.Status))
	}
	return &source.Unreadable{Reason: record.ReasonOther, Detail: fmt.Sprintf("the server fails (%s)%s: its log says why", clean(resp.Status), said)}
}

// hint says what a refused credential needs.
func (c credential) hint() string {
	switch c.why {
	case none:
		return "it wants a credential that can read the repository's contents"
	case notPlain:
		return "the credential was not sent, as the address is plain http: use https"
	case notThere:
		return "the credential was not sent, as the server redirects to another host: configure the address that it redirects to"
	}
	return "the credential must be valid and able to read the repository's contents"
}

// saidBy returns what a failing server says in plain text.
func (l *httpLink) saidBy(resp *http.Response) string {
	if mediaType(resp) != "text/plain" {
		return ""
	}
	b, _ := io.ReadAll(&guardedReader{l.g, io.LimitReader(resp.Body, maxSaid)}) // what there is will do
	if said := clean(string(b)); said != "" {
		return fmt.Sprintf(", saying %q", said)
	}
	return ""
}
