package forge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"farshore/agent/source/git/internal/web"
)

// answer is a good answer of the API.
type answer struct {
	header http.Header
	data   []byte
}

// apiError is an answer that is none.
type apiError struct {
	code    int
	message string
	limit   bool          // it is a rate limit
	after   time.Duration // when to come again, for a rate limit
	sso     bool          // the token is not authorized for single sign-on
}

// Error says what the server said.
func (e *apiError) Error() string {
	s := fmt.Sprintf("the API says %d %s", e.code, http.StatusText(e.code))
	if e.message != "" {
		s += ": " + e.message
	}
	if e.sso {
		s += ": authorize the token for the organisation's single sign-on"
	}
	return s
}

func (e *apiError) denied() bool {
	return !e.limit && (e.code == http.StatusUnauthorized || e.code == http.StatusForbidden)
}

func (e *apiError) temporary() bool {
	return e.code == http.StatusRequestTimeout || e.code >= 500 && e.code != http.StatusNotImplemented
}

func notFound(err error) bool {
	e := (*apiError)(nil)
	return errors.As(err, &e) && e.code == http.StatusNotFound
}

// silentError says that there was no answer, or not all of it.
type silentError struct{ err error }

// Error says why.
func (e *silentError) Error() string {
	err := e.err
	if u := (*url.Error)(nil); errors.As(err, &u) {
		err = u.Err
	}
	return "no answer from the API: " + err.Error()
}

// Unwrap returns the cause.
func (e *silentError) Unwrap() error { return e.err }

const (
	// maxTries is how often a page is asked for, rate limits not counted; first is the greatest pause after a first failure, doubled for each that follows.
	maxTries, first = 5, 2 * time.Second
	// maxWaits bounds what a listing waits for rate limits, in all.
	maxWaits = 15 * time.Minute
	// timeout bounds one request with its answer.
	timeout = 2 * time.Minute
	// maxBody bounds an answer in bytes.
	maxBody = 16 << 20
)

// get asks until there is an answer, or no use in asking again.
func (l *listing) get(ctx context.Context, at *url.URL) (*answer, error) {
	for tries := 1; ; {
		a, err := l.once(ctx, at)
		if err == nil || ctx.Err() != nil {
			return a, cmpErr(ctx.Err(), err)
		}
		refused, silent := (*apiError)(nil), (*silentError)(nil)
		switch {
		case errors.As(err, &refused) && refused.limit:
			err = l.limited(ctx, refused)
		case errors.As(err, &silent) && !errors.Is(err, errRedirect), refused != nil && refused.temporary():
			if tries++; tries > maxTries {
				return nil, fmt.Errorf("%w (tried %d times)", err, maxTries)
			}
			err = web.Wait(ctx, rand.N(first<<(tries-2)+1))
		}
		if err != nil {
			return nil, err
		}
	}
}

// cmpErr returns the first error that is one.
func cmpErr(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// limited waits for a rate limit to end.
func (l *listing) limited(ctx context.Context, e *apiError) error {
	pause := max(e.after, time.Second) // a server that says "now" each time does not make a busy loop
	if l.waited+pause > maxWaits {
		until := time.Now().Add(pause).UTC().Format(time.RFC3339)
		return fmt.Errorf("%w: the rate limit ends at %s, in %v: a token of its own or a later pass helps", e, until, pause.Round(time.Second))
	}
	l.waited += pause
	return web.Wait(ctx, pause)
}

// once makes one request.
func (l *listing) once(ctx context.Context, at *url.URL) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, errors.New("the API's address can't be used")
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "farshore")
	token := ""
	if l.options.Password != nil {
		if token, err = l.options.Password(ctx); err != nil {
			return nil, fmt.Errorf("the token: %w", err)
		}
		l.kind.authorize(req.Header, token)
	}
	resp, err := l.http.Do(req)
	if err != nil {
		return nil, &silentError{err}
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	switch {
	case err != nil:
		return nil, &silentError{err}
	case len(data) > maxBody:
		return nil, fmt.Errorf("an answer of the API has more than %d bytes", maxBody)
	case resp.StatusCode != http.StatusOK:
		return nil, refusal(resp, data, token)
	}
	return &answer{resp.Header, data}, nil
}

// refusal reads an answer that is no success. Rate limits are 429, or 403 with headers or a message that say so (GitHub, "Rate limits for the REST API").
func refusal(resp *http.Response, data []byte, token string) *apiError {
	h := resp.Header
	e := &apiError{code: resp.StatusCode, message: message(data, token), sso: h.Get("X-GitHub-SSO") != ""}
	if e.code != http.StatusTooManyRequests && e.code != http.StatusForbidden {
		return e
	}
	used := h.Get("X-RateLimit-Remaining") == "0"
	said := strings.Contains(strings.ToLower(e.message), "rate limit")
	e.limit = e.code == http.StatusTooManyRequests || used || said || h.Get("Retry-After") != ""
	const unknown = time.Minute // GitHub asks for at least a minute where it says nothing
	e.after = unknown
	if wait, ok := web.RetryAfter(h.Get("Retry-After"), time.Now()); ok {
		e.after = wait
		return e
	}
	for _, name := range []string{"X-RateLimit-Reset", "RateLimit-Reset"} {
		at, err := strconv.ParseInt(h.Get(name), 10, 64)
		if err == nil && (used || e.code == http.StatusTooManyRequests) && at > 0 && at < 1<<40 {
			e.after = time.Until(time.Unix(at, 0)) + time.Second // two clocks differ
			return e
		}
	}
	return e
}

// message returns what an error's JSON says, in one line that does not have the token.
func message(data []byte, token string) string {
	var said struct {
		Message json.RawMessage `json:"message"`
		Error   json.RawMessage `json:"error"`
	}
	if json.Unmarshal(data, &said) != nil {
		return ""
	}
	for _, raw := range []json.RawMessage{said.Message, said.Error} {
		var s string
		if raw == nil || json.Unmarshal(raw, &s) != nil || s == "" {
			continue
		}
		if token != "" {
			s = strings.ReplaceAll(s, token, "***")
		}
		return web.Clean(s)
	}
	return ""
}
