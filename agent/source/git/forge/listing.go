package forge

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"farshore/agent/record"
	"farshore/agent/source"
	"farshore/agent/source/git/internal/web"
)

// listing is the state of one List.
type listing struct {
	kind    *kind
	options Options
	base    *url.URL
	http    http.Client
	waited  time.Duration // for rate limits

	ids   map[int64]bool
	paths map[string]bool
	names NamesError
	total int64 // what the last page said, -1 when it did not
}

// maxPages bounds a listing: more pages than any owner has, fewer than a server that never ends gives.
const maxPages = 2000

// all yields the repositories of all pages.
func (l *listing) all(ctx context.Context, yield func(Repo) error) error {
	at, page, err := l.begin(ctx)
	for number := 1; err == nil; number++ {
		var list []found
		if list, err = l.take(page); err != nil {
			break
		}
		fresh := l.fresh(list)
		if len(list) > 0 && len(fresh) == 0 {
			err = fmt.Errorf("page %d repeats repositories of earlier pages", number)
			break
		}
		if err := l.give(fresh, yield); err != nil {
			return err
		}
		if at, err = l.next(at, page, number, len(list)); err != nil || at == nil {
			break
		}
		if number == maxPages {
			err = fmt.Errorf("the listing has more than %d pages", maxPages)
			break
		}
		page, err = l.get(ctx, at)
	}
	if err == nil && l.total >= 0 && l.total != int64(len(l.ids)) {
		err = fmt.Errorf("the server counts %d repositories and lists %d: the token can't see them all, or they changed meanwhile: %s", l.total, len(l.ids), l.kind.scope)
	}
	return l.failure(err)
}

// failure says where an error happened; what the token can help is the owner's fault, not the forge's.
func (l *listing) failure(err error) error {
	if err == nil {
		return nil
	}
	refused := (*apiError)(nil)
	if errors.As(err, &refused) && refused.denied() || errors.Is(err, errNotFound) {
		return &source.Unreadable{Reason: record.ReasonDenied, Detail: fmt.Sprintf("list %s of %s at %s: %v: %s", l.kind.name, l.options.Owner, l.options.Host, err, l.kind.scope)}
	}
	return fmt.Errorf("list %s of %s at %s: %w", l.kind.name, l.options.Owner, l.options.Host, err)
}

// begin asks for the first page: of an organisation, else of a user.
func (l *listing) begin(ctx context.Context) (*url.URL, *answer, error) {
	at := l.start(l.kind.first(l.options.Owner))
	page, err := l.get(ctx, at)
	if !notFound(err) {
		return at, page, err
	}
	second, err := l.kind.second(ctx, l)
	if err != nil {
		return nil, nil, err
	}
	at = l.start(second)
	page, err = l.get(ctx, at)
	if notFound(err) {
		err = fmt.Errorf("no organisation, group or user of that name is there, or the token may not see it: %w", errNotFound)
	}
	return at, page, err
}

// start returns the address of the first page of a list, given as path and query.
func (l *listing) start(list string) *url.URL {
	path, query, _ := strings.Cut(list, "?")
	u := l.base.JoinPath(path)
	q, err := url.ParseQuery(query)
	if err != nil {
		q = url.Values{} // never: the lists are constants
	}
	q.Set(l.kind.limit, strconv.Itoa(l.kind.page))
	u.RawQuery = q.Encode()
	return u
}

// take reads a page, and what its headers say about the whole.
func (l *listing) take(page *answer) ([]found, error) {
	if sso := page.header.Get("X-GitHub-SSO"); strings.HasPrefix(sso, "partial-results") {
		return nil, errors.New("the list leaves out what needs single sign-on: authorize the token for the organisation")
	}
	list, err := l.kind.decode(page.data)
	if err != nil {
		return nil, fmt.Errorf("the server's list can't be read: %s", web.Clean(err.Error()))
	}
	for _, f := range list {
		if f.id <= 0 {
			return nil, errors.New("the server's list has a repository without a number")
		}
	}
	l.total = -1
	for _, name := range []string{"X-Total", "X-Total-Count"} {
		if n, err := strconv.ParseInt(page.header.Get(name), 10, 64); err == nil {
			l.total = n
		}
	}
	return list, nil
}

// fresh returns what was not yet listed. New repositories move others to the next page, where they come again.
func (l *listing) fresh(list []found) []found {
	var fresh []found
	for _, f := range list {
		if !l.ids[f.id] {
			l.ids[f.id] = true
			fresh = append(fresh, f)
		}
	}
	return fresh
}

func (l *listing) give(list []found, yield func(Repo) error) error {
	for _, f := range list {
		r, problem := l.repo(f)
		if problem != "" {
			l.names.add("%.200q (number %d): %s", f.full, f.id, problem)
			continue
		}
		if err := yield(r); err != nil {
			return err
		}
	}
	return nil
}

// next returns where the next page is, nil when there is none: by the server's number or link, and where it gives neither, by counting, when the page was full or more
// are announced. A proxy that drops headers thus never makes a short list look whole.
func (l *listing) next(at *url.URL, page *answer, number, n int) (*url.URL, error) {
	if p := page.header.Get("X-Next-Page"); p != "" {
		following, err := strconv.Atoi(p)
		if err != nil || following != number+1 {
			return nil, fmt.Errorf("after page %d the server names page %.20q as the next one", number, p)
		}
		return numbered(at, following), nil
	}
	link, ok := nextLink(page.header)
	switch {
	case ok && !l.kind.numbered:
		return l.follow(at, link)
	case ok, n >= l.kind.page, n > 0 && l.total > int64(len(l.ids)):
		return numbered(at, number+1), nil
	}
	return nil, nil
}

func numbered(at *url.URL, page int) *url.URL {
	u := *at
	q := u.Query()
	q.Set("page", strconv.Itoa(page))
	u.RawQuery = q.Encode()
	return &u
}

// follow resolves the server's link to the next page, which carries the token: it must stay at the API.
func (l *listing) follow(at *url.URL, link string) (*url.URL, error) {
	u, err := at.Parse(link)
	if err != nil || !l.home(u) {
		return nil, errors.New("the server's link to the next page leaves the API: it is not followed")
	}
	return u, nil
}

// home reports whether the address is one of the API's.
func (l *listing) home(u *url.URL) bool {
	return u.Scheme == l.base.Scheme && strings.EqualFold(u.Host, l.base.Host) && u.User == nil
}

// redirect follows the API's redirects for owners that were renamed, within the API.
func (l *listing) redirect(req *http.Request, via []*http.Request) error {
	const most = 5
	if len(via) >= most || !l.home(req.URL) {
		return errRedirect
	}
	return nil
}

var errRedirect = errors.New("the API redirects to another host or without end: give its own address as the API's")

// nextLink returns the target of the Link header's relation "next" (RFC 8288), and whether there is one.
func nextLink(h http.Header) (string, bool) {
	for _, line := range h.Values("Link") {
		for line != "" {
			_, after, ok := strings.Cut(line, "<")
			target, params, ok2 := strings.Cut(after, ">")
			if !ok || !ok2 {
				break
			}
			params, line, _ = strings.Cut(params, "<")
			if isNext(params) {
				return target, true
			}
			if line != "" {
				line = "<" + line
			}
		}
	}
	return "", false
}

// isNext reports whether a link's parameters say that it has the relation "next", perhaps among others.
func isNext(params string) bool {
	for param := range strings.FieldsFuncSeq(params, func(r rune) bool { return r == ';' || r == ',' }) {
		name, value, _ := strings.Cut(strings.TrimSpace(param), "=")
		if strings.EqualFold(strings.TrimSpace(name), "rel") {
			for rel := range strings.FieldsSeq(strings.Trim(strings.TrimSpace(value), `"`)) {
				if strings.EqualFold(rel, "next") {
					return true
				}
			}
		}
	}
	return false
}
