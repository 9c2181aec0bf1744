package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	// attemptTime bounds one attempt to send, maxAnswer how much of an answer is read: nothing in it is of interest but that it was given.
	attemptTime = 10 * time.Second
	maxAnswer   = 64 << 10
	// maxRedirects is how often an answer may point elsewhere.
	maxRedirects = 3
)

// Poster sends to an address over HTTP. It may be used concurrently.
type Poster struct {
	address *url.URL
	secret  []byte
	client  *http.Client
	now     func() time.Time
}

// NewWebhook returns a sender to a webhook. secret signs what is sent, "" for nothing. The error has nothing of the address in it.
func NewWebhook(address, secret string) (*Poster, error) {
	u, err := parseAddress(address)
	if err != nil {
		return nil, err
	}
	return &Poster{address: u, secret: []byte(secret), client: newClient(), now: time.Now}, nil
}

// parseAddress takes https addresses, and http ones of this machine.
func parseAddress(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
		return nil, errAddress
	}
	u.Fragment, u.RawFragment = "", ""
	return u, nil
}

// loopback reports whether a host is this machine.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// newClient has the environment's proxies, deadlines for each step, and redirects that are few and lose neither TLS nor the message.
func newClient() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: attemptTime}).DialContext, TLSHandshakeTimeout: attemptTime, ResponseHeaderTimeout: attemptTime,
			MaxResponseHeaderBytes: maxAnswer, DisableKeepAlives: true, ForceAttemptHTTP2: true,
		},
		CheckRedirect: func(next *http.Request, via []*http.Request) error {
			switch {
			case via[0].URL.Scheme == "https" && next.URL.Scheme != "https", next.URL.Scheme != "https" && !loopback(next.URL.Hostname()):
				return errLower
			case len(via) > maxRedirects, next.Method != via[0].Method:
				return errRedirect
			}
			next.Header.Del("Referer") // it is the address, which is a secret
			return nil
		},
		Timeout: attemptTime,
	}
}

// Send posts the message as JSON. Where there is a secret, X-Farshore-Signature is "sha256=" and the hexadecimal HMAC-SHA256 by it over X-Farshore-Timestamp, a dot and
// the body.
func (p *Poster) Send(ctx context.Context, m *Message) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(m); err != nil {
		return &Fault{why: "the message can't be written as JSON"}
	}
	header := http.Header{"Content-Type": {"application/json"}, "X-Farshore-Event": {string(m.Kind) + "." + string(m.Outcome)}, "X-Farshore-Delivery": {m.ID}}
	if len(p.secret) > 0 {
		at := strconv.FormatInt(p.now().Unix(), 10)
		mac := hmac.New(sha256.New, p.secret)
		mac.Write([]byte(at + "."))
		mac.Write(b.Bytes())
		header.Set("X-Farshore-Timestamp", at)
		header.Set("X-Farshore-Signature", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	}
	return p.post(ctx, p.address, header, b.Bytes())
}

// post makes one attempt.
func (p *Poster) post(ctx context.Context, to *url.URL, header http.Header, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to.String(), bytes.NewReader(body))
	if err != nil {
		return errAddress
	}
	req.Header = header
	req.Header.Set("User-Agent", "farshore")
	resp, err := p.client.Do(req)
	if err != nil {
		return fault(err)
	}
	// What is left of the answer does not matter, once it was given.
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer))
	_ = resp.Body.Close()
	return status(resp.StatusCode)
}
