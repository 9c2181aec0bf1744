package lfs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"time"

	"farshore/agent/record"
	"farshore/agent/source"
	"farshore/agent/source/git/internal/web"
)

const mediaType = "application/vnd.git-lfs+json"

// maxAnswer bounds the answer to a batch, in bytes: 100 objects with links of some kilobytes each are far below it.
const maxAnswer = 8 << 20

// answer is what a batch says about one object: a link or an error.
type answer struct {
	link *link
	err  error
}

// link is where an object can be downloaded, until when, and with which headers.
type link struct {
	url     *url.URL
	header  map[string]string
	expires time.Time // zero: never
}

// early is how long before its end a link counts as expired, so that the request that uses it arrives in time.
const early = 5 * time.Second

func (l *link) expired() bool { return !l.expires.IsZero() && time.Until(l.expires) < early }

// request and response are the bodies of the batch API (git-lfs, docs/api/batch.md).
type request struct {
	Operation string          `json:"operation"`
	Transfers []string        `json:"transfers"`
	Objects   []requestObject `json:"objects"`
	HashAlgo  string          `json:"hash_algo"`
}

type requestObject struct {
	OID  string `json:"oid"`
	Size int64  `json:"size"`
}

type response struct {
	Transfer string           `json:"transfer"`
	HashAlgo string           `json:"hash_algo"`
	Objects  []responseObject `json:"objects"`
}

type responseObject struct {
	OID     string `json:"oid"`
	Actions struct {
		Download *action `json:"download"`
	} `json:"actions"`
	Error *struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

type action struct {
	Href      string            `json:"href"`
	Header    map[string]string `json:"header"`
	ExpiresIn int64             `json:"expires_in"`
	ExpiresAt string            `json:"expires_at"`
}

// ask sends one batch, several times if need be, and returns an answer for each object of the list.
func (c *Client) ask(ctx context.Context, list []Pointer) (map[string]answer, error) {
	in := request{Operation: "download", Transfers: []string{"basic"}, HashAlgo: "sha256"}
	for _, p := range list {
		in.Objects = append(in.Objects, requestObject(p))
	}
	data, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	patience := c.patience()
	for {
		out, err := c.post(ctx, data)
		if err == nil {
			return c.answers(list, out, time.Now())
		}
		if err := patience.failed(ctx, err); err != nil {
			return nil, c.whole(err)
		}
	}
}

// whole says what the failure of a batch means for the repository.
func (c *Client) whole(err error) error {
	refused := (*statusError)(nil)
	if !errors.As(err, &refused) {
		return err
	}
	switch refused.code {
	case http.StatusUnauthorized, http.StatusForbidden:
		return &source.Unreadable{Reason: record.ReasonDenied, Detail: err.Error() + ": give a token that may read the repository's contents"}
	case http.StatusNotFound, http.StatusNotImplemented:
		return fmt.Errorf("%w: %w", ErrNone, err)
	}
	return err
}

// maxHops is how many redirects in a row are followed.
const maxHops = 5

// post sends the batch and follows redirects that stay at the same server.
func (c *Client) post(ctx context.Context, data []byte) ([]byte, error) {
	w := watch(ctx, c.times.idle)
	defer w.end()
	at := c.batch
	for range maxHops {
		secret, req, err := c.batchRequest(w.ctx, at, data)
		if err != nil {
			return nil, err
		}
		resp, err := c.do(w, req)
		if err != nil {
			return nil, err
		}
		next := redirected(resp)
		out, err := c.batchBody(w, resp, secret)
		if next == nil {
			return out, err
		}
		if !sameOrigin(next, c.batch) {
			return nil, fmt.Errorf("LFS at %s: the server points to %s: put the repository's new address into the configuration", c.batch.Host, web.Clean(next.Host))
		}
		at = next
	}
	return nil, fmt.Errorf("LFS at %s: more than %d redirects", c.batch.Host, maxHops)
}

// batchRequest makes the request, and returns the password that it carries so that no message repeats it.
func (c *Client) batchRequest(ctx context.Context, at *url.URL, data []byte) (string, *http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, at.String(), bytes.NewReader(data))
	if err != nil {
		return "", nil, err
	}
	req.Header.Set("Accept", mediaType)
	req.Header.Set("Content-Type", mediaType)
	secret, err := c.authorize(req)
	return secret, req, err
}

// authorize adds the password to a request to the repository's own host.
func (c *Client) authorize(req *http.Request) (string, error) {
	if c.options.Password == nil {
		return "", nil
	}
	secret, err := c.options.Password(req.Context())
	if err != nil {
		return "", fmt.Errorf("LFS at %s: the password: %w", c.batch.Host, err)
	}
	req.SetBasicAuth(c.options.Username, secret)
	return secret, nil
}

// batchBody reads the answer to a batch, or the error that it is.
func (c *Client) batchBody(w *watched, resp *http.Response, secret string) ([]byte, error) {
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, status("LFS at "+c.batch.Host, w, resp, secret)
	}
	data, err := io.ReadAll(io.LimitReader(w.reader(resp.Body), maxAnswer+1))
	if err != nil {
		return nil, &silentError{what: "LFS at " + c.batch.Host, err: err}
	}
	if len(data) > maxAnswer {
		return nil, fmt.Errorf("LFS at %s: the answer to a batch has more than %d bytes", c.batch.Host, maxAnswer)
	}
	return data, nil
}

// answers sorts out what the server answered at the time: one answer for each object that was asked for, and none for others.
func (c *Client) answers(list []Pointer, data []byte, at time.Time) (map[string]answer, error) {
	var out response
	if err := json.Unmarshal(data, &out); err != nil {
		return nil, fmt.Errorf("LFS at %s: the answer to a batch can't be read: %s", c.batch.Host, web.Clean(err.Error()))
	}
	if cmpOr(out.Transfer, "basic") != "basic" || cmpOr(out.HashAlgo, "sha256") != "sha256" {
		return nil, fmt.Errorf("LFS at %s: the server wants transfer %.20q with hash %.20q: only basic and sha256 are known", c.batch.Host, out.Transfer, out.HashAlgo)
	}
	m := make(map[string]answer, len(list))
	for _, p := range list {
		m[p.OID] = answer{err: fmt.Errorf("LFS at %s: object %s: the server's answer does not name it", c.batch.Host, p.OID)}
	}
	for i := range out.Objects {
		o := &out.Objects[i]
		if _, asked := m[o.OID]; asked {
			m[o.OID] = c.answer(o, at)
		}
	}
	return m, nil
}

func (c *Client) answer(o *responseObject, at time.Time) answer {
	what := "LFS at " + c.batch.Host + ": object " + o.OID
	switch {
	case o.Error != nil && (o.Error.Code == http.StatusNotFound || o.Error.Code == http.StatusGone):
		return answer{err: fmt.Errorf("%s: %w: code %d: %s", what, ErrMissing, o.Error.Code, web.Clean(o.Error.Message))}
	case o.Error != nil:
		return answer{err: fmt.Errorf("%s: the server says: code %d: %s", what, o.Error.Code, web.Clean(o.Error.Message))}
	case o.Actions.Download == nil:
		return answer{err: fmt.Errorf("%s: the server gives no link to it", what)}
	}
	u, err := url.Parse(o.Actions.Download.Href)
	if err != nil || !c.permitted(u) {
		return answer{err: fmt.Errorf("%s: the server's link to it is no https URL", what)}
	}
	return answer{link: &link{url: u, header: o.Actions.Download.Header, expires: o.Actions.Download.end(at)}}
}

// permitted reports whether bytes may come from there: by a scheme no weaker than the repository's own.
func (c *Client) permitted(u *url.URL) bool {
	return u.Host != "" && (u.Scheme == "https" || u.Scheme == "http" && c.batch.Scheme == "http")
}

// end returns when the link expires; seconds after the answer count before a date, which two clocks may see differently.
func (a *action) end(at time.Time) time.Time {
	if a.ExpiresIn != 0 {
		return at.Add(time.Duration(max(math.MinInt32, min(a.ExpiresIn, math.MaxInt32))) * time.Second)
	}
	t, err := time.Parse(time.RFC3339, a.ExpiresAt)
	if err != nil || t.Year() <= 1 { // servers write the zero time for none
		return time.Time{}
	}
	return t
}
