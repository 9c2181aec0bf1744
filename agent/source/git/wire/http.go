package wire

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

const (
	advertisementType = "application/x-git-upload-pack-advertisement"
	requestType       = "application/x-git-upload-pack-request"
	resultType        = "application/x-git-upload-pack-result"
	discovery         = "/info/refs"
	service           = "git-upload-pack"
	maxRedirects      = 5
)

// httpLink carries a conversation over http (gitprotocol-http): a GET for the greeting, and a POST for each request.
type httpLink struct {
	r    *Remote
	g    *guard
	base string // where the repository is
	body io.ReadCloser
}

// ownClient copies a client without what this package does itself: redirects, deadlines, and no cookies.
func ownClient(given *http.Client) (client *http.Client, own bool) {
	c := &http.Client{}
	if given != nil {
		c.Transport = given.Transport
	} else {
		dialer := &net.Dialer{Timeout: dialDeadline, KeepAlive: dialDeadline}
		c.Transport = &http.Transport{Proxy: http.ProxyFromEnvironment, DialContext: dialer.DialContext, ForceAttemptHTTP2: true,
			TLSHandshakeTimeout: dialDeadline, IdleConnTimeout: 90 * time.Second, MaxIdleConnsPerHost: 2}
		own = true
	}
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c, own
}

// greeting follows redirects, and from then on speaks to where they led.
func (l *httpLink) greeting() (io.Reader, error) {
	for range maxRedirects + 1 {
		resp, err := l.send(http.MethodGet, l.base+discovery+"?service="+service, nil)
		if err != nil {
			return nil, err
		}
		l.body = resp.Body
		if resp.StatusCode/100 != 3 {
			return l.advertisement(resp)
		}
		err = l.follow(resp)
		l.drop()
		if err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("the server redirects more than %d times", maxRedirects)
}

// follow takes the new place from a redirect.
func (l *httpLink) follow(resp *http.Response) error {
	to, err := resp.Location()
	if err != nil {
		return fmt.Errorf("the server redirects (%s) to no address", resp.Status)
	}
	to.User, to.Fragment = nil, ""
	path, ok := strings.CutSuffix(to.EscapedPath(), discovery)
	if !ok {
		return denied(fmt.Sprintf("the server redirects to %s, which is no address of a repository: usually a sign-in page (the credential is missing or not accepted), or the address is wrong",
			clean(to.Scheme+"://"+to.Host+to.EscapedPath())))
	}
	if to.Scheme != "https" && (to.Scheme != "http" || strings.HasPrefix(l.base, "https:")) {
		return unsupported(fmt.Sprintf("the server redirects from https to %s: what is not encrypted is not followed", clean(to.Scheme+"://"+to.Host)))
	}
	l.base = to.Scheme + "://" + to.Host + path
	return nil
}

// advertisement tells git from what else answers with success.
func (l *httpLink) advertisement(resp *http.Response) (io.Reader, error) {
	if mediaType(resp) == advertisementType {
		return &guardedReader{l.g, resp.Body}, nil
	}
	body := bufio.NewReader(&guardedReader{l.g, io.LimitReader(resp.Body, maxSaid)})
	start, _ := body.Peek(maxSaid) // what there is will do
	return nil, notGit(mediaType(resp), start)
}

func notGit(media string, start []byte) error {
	trimmed := bytes.TrimSpace(start)
	switch {
	case strings.Contains(media, "html") || bytes.HasPrefix(trimmed, []byte("<")):
		return denied("the server answers with a web page instead of git: usually a sign-in page (the credential is missing or not accepted), or the address is no repository's")
	case (media == "text/plain" || media == "application/octet-stream" || media == "") && fileRefs(string(trimmed)):
		return unsupported("the server serves only files (git's dumb http protocol), which can't be read consistently: let it run git http-backend, or protect the repository where it lies")
	}
	return unsupported(fmt.Sprintf("the server answers with %q instead of git: the address is no repository's", clean(media)))
}

// fileRefs reports whether the text looks like the file info/refs: "<id> TAB <name>" lines, or none.
func fileRefs(text string) bool {
	id, _, ok := strings.Cut(text, "\t")
	return text == "" || ok && (validID(id, "sha1") || validID(id, "sha256"))
}

// ask posts a request.
func (l *httpLink) ask(request []byte) (io.Reader, error) {
	l.drop()
	resp, err := l.send(http.MethodPost, l.base+"/"+service, request)
	if err != nil {
		return nil, err
	}
	l.body = resp.Body
	switch {
	case resp.StatusCode/100 == 3:
		return nil, fmt.Errorf("%w: the repository has another address now (%s)", ErrMoved, clean(resp.Status))
	case mediaType(resp) != resultType:
		start, _ := io.ReadAll(&guardedReader{l.g, io.LimitReader(resp.Body, maxSaid)}) // what there is will do
		return nil, notGit(mediaType(resp), append(start, ' '))
	}
	return &guardedReader{l.g, resp.Body}, nil
}

func mediaType(resp *http.Response) string {
	media, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
	return strings.ToLower(strings.TrimSpace(media))
}

// send sends one request, and once more with a new password where the server no longer takes the one that it was given. What it returns is a success or a redirect.
func (l *httpLink) send(method, to string, body []byte) (*http.Response, error) {
	m := httpMessage{method: method, to: to}
	if err := m.squeeze(body); err != nil {
		return nil, err
	}
	c, err := l.credential(to)
	if err != nil {
		return nil, err
	}
	resp, err := l.sendOnce(&m, c)
	if err == nil && resp.StatusCode == http.StatusUnauthorized && c.why == sent {
		fresh, again := l.credential(to)
		if again == nil && fresh != c {
			_ = resp.Body.Close() // nothing is read from it
			c = fresh
			resp, err = l.sendOnce(&m, c)
		}
	}
	if err != nil {
		return nil, err
	}
	if err := l.judge(resp, c); err != nil {
		_ = resp.Body.Close() // the error says what matters
		return nil, err
	}
	return resp, nil
}

// explain knows no more than that.
func (l *httpLink) explain(err error) error { return err }

func (l *httpLink) close(bool) error {
	l.drop()
	return nil
}

// drop closes the answer that was read last, if there is one.
func (l *httpLink) drop() {
	if l.body != nil {
		_ = l.body.Close() // nothing more is read from it, so nothing can be missed
		l.body = nil
	}
}
