package forge_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"farshore/agent/record"
	"farshore/agent/source"
	"farshore/agent/source/git/forge"
)

func token(s string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return s, nil }
}

// lists are where each kind lists the repositories of the organisation "team".
var lists = map[string]string{"github": "/orgs/team/repos", "gitlab": "/groups/team/projects", "gitea": "/orgs/team/repos", "forgejo": "/orgs/team/repos"}

func TestPages(t *testing.T) {
	for kind, path := range lists {
		for _, n := range []int{0, 1, 49, 50, 51, 100, 101, 350} {
			for _, most := range []int{0, 20} {
				if most > 0 && kind == "github" {
					continue // GitHub gives what was asked for
				}
				f := newFake(kind, path, n)
				f.most = most
				all, err := f.list(t, "team")
				if err != nil || len(all) != n {
					t.Fatalf("%s: %d of %d repositories, %v", kind, len(all), n, err)
				}
				for i, r := range all {
					if want := fmt.Sprintf("app-%04d.git", i); r.Path != want || r.ID != strconv.Itoa(1000+i) || !strings.HasSuffix(r.URL, "/team/"+want) || r.Parent != "" || r.Archived || r.Empty {
						t.Fatalf("%s: repository %d is %+v", kind, i, r)
					}
				}
			}
		}
	}
}

// TestHeadersLost holds that a listing is whole even when a proxy drops all headers that say how it goes on.
func TestHeadersLost(t *testing.T) {
	for kind, path := range lists {
		f := newFake(kind, path, 230)
		f.headers = func(h http.Header) {
			for _, name := range []string{"Link", "X-Next-Page", "X-Total", "X-Total-Count"} {
				h.Del(name)
			}
		}
		if all, err := f.list(t, "team"); err != nil || len(all) != 230 {
			t.Errorf("%s: %d of 230 repositories, %v", kind, len(all), err)
		}
	}
	f := newFake("gitea", lists["gitea"], 70)
	f.most = 20 // fewer than asked for, and nothing but the total says that there are more
	f.headers = func(h http.Header) { h.Del("Link") }
	if all, err := f.list(t, "team"); err != nil || len(all) != 70 {
		t.Errorf("short pages: %d of 70 repositories, %v", len(all), err)
	}
}

func TestRequests(t *testing.T) {
	for _, tt := range []struct {
		kind, owner, list string
		want              []string
	}{
		{"github", "team", "/orgs/team/repos", []string{"GET /orgs/team/repos?direction=asc&per_page=100&sort=created&type=all"}},
		{"gitlab", "team/sub group", "/groups/team%2Fsub%20group/projects", []string{"GET /api/v4/groups/team%2Fsub%20group/projects?include_subgroups=true&order_by=id&per_page=100&sort=asc&with_shared=false"}},
		{"gitea", "team", "/orgs/team/repos", []string{"GET /api/v1/orgs/team/repos?limit=50"}},
		{"forgejo", "team", "/users/team/repos", []string{"GET /api/v1/orgs/team/repos?limit=50", "GET /api/v1/users/team/repos?limit=50"}},
		{"gitlab", "team", "/users/team/projects", []string{"GET /api/v4/groups/team/projects?include_subgroups=true&order_by=id&per_page=100&sort=asc&with_shared=false", "GET /api/v4/users/team/projects?order_by=id&per_page=100&sort=asc"}},
	} {
		f := newFake(tt.kind, tt.list, 0)
		if _, err := f.list(t, tt.owner); err != nil || !slices.Equal(f.requests, tt.want) {
			t.Errorf("%s: %v, requests %q", tt.kind, err, f.requests)
		}
	}
}

// TestGitHubUser lists a user's repositories: with the private ones only when the token is that user's.
func TestGitHubUser(t *testing.T) {
	for user, want := range map[string]string{"Team": "/user/repos", "somebody": "/users/team/repos"} {
		f := newFake("github", want, 3)
		f.user = user
		all, err := f.list(t, "team")
		if err != nil || len(all) != 3 || len(f.requests) != 3 || !strings.HasPrefix(f.requests[2], "GET "+want+"?") {
			t.Errorf("%s: %d repositories, %v, %q", user, len(all), err, f.requests)
		}
	}
	f := newFake("github", "/users/team/repos", 3)
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/user" {
			w.WriteHeader(http.StatusForbidden)
			io.WriteString(w, `{"message":"Resource not accessible by integration"}`)
			return true
		}
		return false
	}
	if _, err := f.list(t, "team"); !denied(err) {
		t.Errorf("a token whose user is not known: %v", err)
	}
}

func denied(err error) bool {
	u := (*source.Unreadable)(nil)
	return errors.As(err, &u) && u.Reason == record.ReasonDenied
}

func TestWhatIsTold(t *testing.T) {
	for kind, path := range lists {
		f := newFake(kind, path, 0)
		r := repository(kind, "team", "app", 42)
		r["archived"], r["empty"], r["empty_repo"] = true, true, true
		r["parent"] = map[string]any{"full_name": "other/app", "id": 41}
		r["forked_from_project"] = map[string]any{"path_with_namespace": "other/app", "id": 41}
		if kind == "github" {
			r["empty"], r["parent"], r["fork"] = nil, nil, true
		}
		f.lists[path] = append(f.lists[path], r)
		all, err := f.list(t, "team")
		want := forge.Repo{Path: "app.git", URL: "https://git.example/team/app.git", ID: "42", Parent: "other/app", Size: 12 << 10, Archived: true, Empty: true}
		switch kind {
		case "github":
			want.URL, want.Parent, want.Empty = "https://github.com/team/app.git", "", false
		case "gitlab":
			want.Size = -1
		}
		if err != nil || len(all) != 1 || all[0] != want {
			t.Errorf("%s: %+v, %v; want %+v", kind, all, err, want)
		}
	}
}

func TestSubgroups(t *testing.T) {
	f := newFake("gitlab", "/groups/team/projects", 0)
	f.lists["/groups/team/projects"] = []map[string]any{repository("gitlab", "team", "app", 1), repository("gitlab", "Team", "sub/deep/app", 2), repository("gitlab", "teamster", "app", 3), repository("gitlab", "team", "sub/app", 4)}
	all, err := f.list(t, "team")
	var paths []string
	for _, r := range all {
		paths = append(paths, r.Path)
	}
	names := (*forge.NamesError)(nil)
	if !errors.As(err, &names) || names.Count != 1 || !strings.Contains(err.Error(), "teamster/app") || !slices.Equal(paths, []string{"app.git", "sub/deep/app.git", "sub/app.git"}) {
		t.Errorf("%q, %v", paths, err)
	}
}

func TestNames(t *testing.T) {
	for _, name := range []string{"", ".", "..", "a/b", "a\x00b", "a\nb", `a\b`, "a\x1b[2Jb", "\u202egit", strings.Repeat("x", 300), "../../etc/cron.d/x"} {
		f := newFake("gitea", lists["gitea"], 2)
		f.lists[lists["gitea"]] = append(f.lists[lists["gitea"]], repository("gitea", "team", name, 5))
		all, err := f.list(t, "team")
		names := (*forge.NamesError)(nil)
		if len(all) != 2 || !errors.As(err, &names) || names.Count != 1 {
			t.Errorf("%q: %d repositories, %v", name, len(all), err)
		}
	}
	f := newFake("gitea", lists["gitea"], 2)
	f.lists[lists["gitea"]] = append(f.lists[lists["gitea"]], repository("gitea", "team", "app-0001", 5), repository("gitea", "team", "App-0001", 6))
	all, err := f.list(t, "team")
	names := (*forge.NamesError)(nil)
	if len(all) != 3 || !errors.As(err, &names) || names.Count != 1 || !strings.Contains(err.Error(), "has its path") {
		t.Errorf("two of one path: %d, %v", len(all), err)
	}
}

// TestCloneAddress holds that the password is never asked for by an address at another host.
func TestCloneAddress(t *testing.T) {
	for address, want := range map[string]string{
		"https://git.example/prefix/team/app.git":      "https://git.example/prefix/team/app.git",
		"https://evil.example/team/app.git":            "https://git.example/team/app.git",
		"http://git.example/team/app.git":              "https://git.example/team/app.git",
		"https://user:pw@git.example/team/app.git":     "https://git.example/team/app.git",
		"https://git.example@evil.example/app.git":     "https://git.example/team/app.git",
		"https://git.example:8443/team/app.git":        "https://git.example/team/app.git",
		"ext::sh -c id":                                "https://git.example/team/app.git",
		"":                                             "https://git.example/team/app.git",
		"https://git.example/team/app.git?x=y":         "https://git.example/team/app.git",
		"https://git.example":                          "https://git.example/team/app.git",
		"file:///etc/passwd":                           "https://git.example/team/app.git",
		"https://git.example.evil.example/team/ap.git": "https://git.example/team/app.git",
	} {
		f := newFake("gitea", lists["gitea"], 0)
		r := repository("gitea", "team", "app", 1)
		r["clone_url"] = address
		f.lists[lists["gitea"]] = append(f.lists[lists["gitea"]], r)
		all, err := f.list(t, "team")
		if err != nil || len(all) != 1 || all[0].URL != want {
			t.Errorf("%s: %+v, %v", address, all, err)
		}
	}
}

// TestIncomplete is about servers that lie about the end: none of them makes a listing that counts as whole.
func TestIncomplete(t *testing.T) {
	full := func(h http.Header, link string) { h.Set("Link", "<"+link+`>; rel="next"`) }
	for _, tt := range []struct {
		name, kind, says string
		set              func(f *fake)
	}{
		{"short of the total", "gitlab", "counts 31", func(f *fake) { f.headers = func(h http.Header) { h.Set("X-Total", "31") } }},
		{"more than the total", "gitea", "counts 3 ", func(f *fake) { f.headers = func(h http.Header) { h.Set("X-Total-Count", "3") } }},
		{"short of the total, hidden ones", "gitea", "counts 31", func(f *fake) { f.headers = func(h http.Header) { h.Set("X-Total-Count", "31") } }},
		{"the same page again", "github", "repeats", func(f *fake) {
			f.headers = func(h http.Header) { full(h, "https://api.github.com/orgs/team/repos?page=1&per_page=100") }
		}},
		{"another host", "github", "leaves the API", func(f *fake) {
			f.headers = func(h http.Header) { full(h, "https://evil.example/orgs/team/repos?page=2") }
		}},
		{"another scheme", "github", "leaves the API", func(f *fake) {
			f.headers = func(h http.Header) { full(h, "http://api.github.com/orgs/team/repos?page=2") }
		}},
		{"another user", "github", "leaves the API", func(f *fake) {
			f.headers = func(h http.Header) { full(h, "https://x@api.github.com/orgs/team/repos?page=2") }
		}},
		{"a number out of order", "gitlab", "names page", func(f *fake) { f.headers = func(h http.Header) { h.Set("X-Next-Page", "1") } }},
		{"single sign-on", "github", "single sign-on", func(f *fake) {
			f.headers = func(h http.Header) { h.Set("X-GitHub-SSO", "partial-results; organizations=21955855") }
		}},
		{"no JSON", "github", "can't be read", answering(http.StatusOK, "<html>\x1b", nil)},
		{"an object", "gitlab", "can't be read", answering(http.StatusOK, `{"message":"hello"}`, nil)},
		{"no numbers", "gitea", "without a number", answering(http.StatusOK, `[{"name":"app","full_name":"team/app"}]`, nil)},
		{"too large", "gitea", "more than", answering(http.StatusOK, strings.Repeat(" ", 17<<20), nil)},
		{"no content", "gitea", "204", answering(http.StatusNoContent, "", nil)},
		{"redirect away", "github", "redirects", answering(http.StatusMovedPermanently, "", map[string]string{"Location": "https://evil.example/x"})},
		{"down", "github", "tried 5 times", answering(http.StatusBadGateway, "", nil)},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake(tt.kind, lists[tt.kind], 30)
			tt.set(f)
			if _, err := f.list(t, "team"); err == nil || !strings.Contains(err.Error(), tt.says) || denied(err) {
				t.Errorf("%s: %v, want %q", tt.name, err, tt.says)
			}
			for _, r := range f.requests {
				if !strings.HasPrefix(r, "GET ") {
					t.Errorf("%s: request %q", tt.name, r)
				}
			}
		})
	}
}

// answering makes the fake answer all requests alike.
func answering(code int, body string, headers map[string]string) func(f *fake) {
	return func(f *fake) {
		f.before = func(w http.ResponseWriter, r *http.Request) bool {
			for name, value := range headers {
				w.Header().Set(name, value)
			}
			w.WriteHeader(code)
			io.WriteString(w, body)
			return true
		}
	}
}

// TestEndless is a server that invents repositories for ever.
func TestEndless(t *testing.T) {
	f := newFake("github", lists["github"], 0)
	id := 0
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		id++
		w.Header().Set("Link", fmt.Sprintf(`<https://api.github.com/orgs/team/repos?page=%d>; rel="next"`, id+1))
		fmt.Fprintf(w, `[{"id":%d,"name":"r%d","full_name":"team/r%d"}]`, id, id, id)
		return true
	}
	if _, err := f.list(t, "team"); err == nil || !strings.Contains(err.Error(), "pages") {
		t.Errorf("error is %v", err)
	}
}

// TestMoving holds that repositories which are pushed to the next page by new ones are listed once.
func TestMoving(t *testing.T) {
	f := newFake("github", lists["github"], 250)
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		if len(f.requests) == 2 {
			f.lists[lists["github"]] = slices.Insert(f.lists[lists["github"]], 0, repository("github", "team", "new", 9000))
		}
		return false
	}
	all, err := f.list(t, "team")
	if err != nil || len(all) != 250 {
		t.Errorf("%d repositories, %v", len(all), err)
	}
}

func TestRedirectWithin(t *testing.T) {
	f := newFake("github", "/organizations/7/repos", 150)
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/orgs/team/repos" {
			return false
		}
		http.Redirect(w, r, "https://api.github.com/organizations/7/repos?"+r.URL.RawQuery, http.StatusMovedPermanently)
		return true
	}
	if all, err := f.list(t, "team"); err != nil || len(all) != 150 {
		t.Errorf("%d repositories, %v", len(all), err)
	}
}

func TestRefusals(t *testing.T) {
	for kind, path := range lists {
		for _, tt := range []struct {
			name, says string
			set        func(f *fake)
		}{
			{"bad token", "401", func(f *fake) {
				f.before = func(_ http.ResponseWriter, r *http.Request) bool {
					r.Header.Del("Authorization")
					r.Header.Del("PRIVATE-TOKEN")
					return false
				}
			}},
			{"forbidden", "403", answering(http.StatusForbidden, `{"message":"Resource protected by organization\u001b[31m rules"}`, map[string]string{"X-RateLimit-Remaining": "4999"})},
			{"scope", "insufficient_scope", answering(http.StatusForbidden, `{"error":"insufficient_scope","scope":"api read_api"}`, nil)},
			{"not there", "no organisation", func(f *fake) { f.lists, f.user = nil, "x" }},
			{"single sign-on", "single sign-on", answering(http.StatusForbidden, `{"message":"Resource protected by organization SAML enforcement."}`, map[string]string{"X-GitHub-SSO": "required; url=https://github.com/orgs/x/sso"})},
		} {
			f := newFake(kind, path, 3)
			tt.set(f)
			_, err := f.list(t, "team")
			if !denied(err) || !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), "a token needs") {
				t.Errorf("%s: %s: %v", kind, tt.name, err)
			}
		}
	}
}

// TestRateLimits holds that each way of saying so is understood, how long is waited, and that it ends.
func TestRateLimits(t *testing.T) {
	start := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // of a bubble's clock
	in := func(d time.Duration) string { return strconv.FormatInt(start.Add(d).Unix(), 10) }
	for _, tt := range []struct {
		name    string
		code    int
		body    string
		headers map[string]string
		wait    time.Duration // -1: it is too long
	}{
		{"primary", 403, `{"message":"API rate limit exceeded for user ID 1."}`, map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": in(5 * time.Minute)}, 5*time.Minute + time.Second},
		{"primary, 429", 429, `{}`, map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": in(5 * time.Minute)}, 5*time.Minute + time.Second},
		{"primary, an hour", 403, `{"message":"API rate limit exceeded"}`, map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": in(time.Hour)}, -1},
		{"secondary", 403, `{"message":"You have exceeded a secondary rate limit."}`, map[string]string{"Retry-After": "30", "X-RateLimit-Remaining": "4000"}, 30 * time.Second},
		{"secondary, unsaid", 403, `{"message":"You have exceeded a secondary rate limit."}`, map[string]string{"X-RateLimit-Remaining": "4000"}, time.Minute},
		{"date", 429, ``, map[string]string{"Retry-After": start.Add(90 * time.Second).Format(http.TimeFormat)}, 90 * time.Second},
		{"past", 429, ``, map[string]string{"Retry-After": start.Add(-time.Hour).Format(http.TimeFormat)}, time.Second},
		{"GitLab", 429, `Retry later`, map[string]string{"RateLimit-Reset": in(40 * time.Second), "RateLimit-Remaining": "0"}, 41 * time.Second},
		{"bare", 429, ``, nil, time.Minute},
		{"a day", 429, ``, map[string]string{"Retry-After": "86400"}, -1},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake("github", lists["github"], 150)
			limited := answering(tt.code, tt.body, tt.headers)
			f.before = func(w http.ResponseWriter, r *http.Request) bool {
				if len(f.requests) != 2 {
					return false
				}
				g := &fake{}
				limited(g)
				return g.before(w, r)
			}
			all, err := f.list(t, "team")
			took := time.Since(start)
			if tt.wait < 0 {
				if err == nil || denied(err) || took != 0 || !strings.Contains(err.Error(), "the rate limit ends at 2000-01-") {
					t.Errorf("%s: %v after %v", tt.name, err, took)
				}
				return
			}
			if err != nil || len(all) != 150 || took != tt.wait {
				t.Errorf("%s: %d repositories in %v, want %v: %v", tt.name, len(all), took, tt.wait, err)
			}
		})
	}
}

// TestRateLimitForEver holds that all waits together are bounded, and that they end with the context.
func TestRateLimitForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake("gitlab", lists["gitlab"], 1)
		answering(http.StatusTooManyRequests, "", map[string]string{"Retry-After": "0"})(f)
		start := time.Now()
		if _, err := f.list(t, "team"); err == nil || time.Since(start) > 16*time.Minute || len(f.requests) > 1000 {
			t.Errorf("%v after %v and %d requests", err, time.Since(start), len(f.requests))
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		start = time.Now()
		err := forge.List(ctx, f.options("team"), func(forge.Repo) error { return nil })
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 10*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

func TestRetries(t *testing.T) {
	for _, failures := range []int{1, 4} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake("gitea", lists["gitea"], 120)
			n := 0
			f.before = func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Query().Get("page") != "2" || n == failures {
					return false
				}
				n++
				w.WriteHeader(http.StatusServiceUnavailable)
				return true
			}
			if all, err := f.list(t, "team"); err != nil || len(all) != 120 || n != failures {
				t.Errorf("%d failures: %d repositories, %v", failures, len(all), err)
			}
		})
	}
}

// broken fails requests, or the bodies of their answers, that many times.
type broken struct {
	transport
	times int
	body  bool
}

func (b *broken) RoundTrip(r *http.Request) (*http.Response, error) {
	b.times--
	switch {
	case b.times < 0:
		return b.transport.RoundTrip(r)
	case !b.body:
		return nil, errors.New("connection reset")
	}
	resp, err := b.transport.RoundTrip(r)
	resp.Body = io.NopCloser(io.MultiReader(io.LimitReader(resp.Body, 100), iotest.ErrReader(io.ErrUnexpectedEOF)))
	return resp, err
}

func TestBrokenConnections(t *testing.T) {
	for _, body := range []bool{false, true} {
		for _, times := range []int{2, 100} {
			synctest.Test(t, func(t *testing.T) {
				f := newFake("github", lists["github"], 10)
				o := f.options("team")
				o.Client.Transport = &broken{transport{f}, times, body}
				n := 0
				err := forge.List(t.Context(), o, func(forge.Repo) error { n++; return nil })
				if times == 2 && (err != nil || n != 10) || times > 2 && (err == nil || n != 0 || strings.Contains(err.Error(), "https://")) {
					t.Errorf("body %v, %d times: %d repositories, %v", body, times, n, err)
				}
			})
		}
	}
}

func TestOptions(t *testing.T) {
	good := forge.Options{Kind: "gitlab", Host: "git.example", Owner: "team/sub"}
	for name, change := range map[string]func(*forge.Options){
		"kind":                  func(o *forge.Options) { o.Kind = "bitbucket" },
		"no host":               func(o *forge.Options) { o.Host = "" },
		"host with path":        func(o *forge.Options) { o.Host = "git.example/x" },
		"no owner":              func(o *forge.Options) { o.Owner = "" },
		"owner that climbs":     func(o *forge.Options) { o.Owner = "../admin" },
		"owner with two levels": func(o *forge.Options) { o.Kind = "github" },
		"scheme":                func(o *forge.Options) { o.API = "ftp://git.example" },
		"user":                  func(o *forge.Options) { o.API = "https://user:geheim@git.example" },
		"query":                 func(o *forge.Options) { o.API = "https://git.example/?token=geheim" },
		"token over http":       func(o *forge.Options) { o.API, o.Password = "http://git.example/api/v4", token("geheim") },
	} {
		o := good
		change(&o)
		o.Client = &http.Client{Transport: transport{http.NotFoundHandler()}}
		err := forge.List(t.Context(), o, nil)
		if err == nil || denied(err) || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestOverTheWire lists over a real connection, with an address of its own for the API and an account that does not need a token.
func TestOverTheWire(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/forge/api/v1/orgs/team/repos" || r.Header.Get("Authorization") != "" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		fmt.Fprintf(w, `[{"id":1,"name":"app","full_name":"team/app","clone_url":"http://%s/forge/team/app.git"}]`, r.Host)
	}))
	defer server.Close()
	var all []forge.Repo
	o := forge.Options{Kind: "gitea", API: server.URL + "/forge/api/v1/", Host: strings.TrimPrefix(server.URL, "http://"), Owner: "team"}
	err := forge.List(t.Context(), o, func(r forge.Repo) error {
		all = append(all, r)
		return nil
	})
	if err != nil || len(all) != 1 || all[0].URL != server.URL+"/forge/team/app.git" {
		t.Errorf("%+v, %v", all, err)
	}
	stop := errors.New("enough")
	if err := forge.List(t.Context(), o, func(forge.Repo) error { return stop }); err != stop {
		t.Errorf("yield's error became %v", err)
	}
	o.Password = func(context.Context) (string, error) { return "", errors.New("no such file") }
	if err := forge.List(t.Context(), o, nil); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("a token that can't be had: %v", err)
	}
}

func TestNextLink(t *testing.T) {
	for header, want := range map[string]string{
		`<https://a/1>; rel="next"`:                             "https://a/1",
		`<https://a/1>; rel="prev", <https://a/2>; rel="next"`:  "https://a/2",
		`<https://a/1>;rel=next`:                                "https://a/1",
		`<https://a/1>; rel="last next"; title="x"`:             "https://a/1",
		`<https://a/?q=1,2>; REL="NEXT"`:                        "https://a/?q=1,2",
		`<https://a/1>; rel="first", <https://a/2>; rel="last"`: "",
		`<https://a/1>; title="rel=next"`:                       "",
		`<https://a/1`:                                          "",
		``:                                                      "",
		`,,<>;;`:                                                "",
		`<https://a/next>; rel="prev",<https://a/3>; rel="next",<x>; rel=y`: "https://a/3",
	} {
		got, ok := forge.NextLink(http.Header{"Link": {header}})
		if got != want || ok != (want != "") {
			t.Errorf("%s: %q, want %q", header, got, want)
		}
	}
}

// FuzzDecode holds that whatever a server lists, paths stay below the source and addresses at the host.
func FuzzDecode(f *testing.F) {
	f.Add(uint8(0), []byte(`[{"id":1,"name":"app","full_name":"team/app","clone_url":"https://git.example/team/app.git","size":5,"parent":{"full_name":"o/app"}}]`))
	f.Add(uint8(1), []byte(`[{"id":1,"path":"app","path_with_namespace":"team/x/app","http_url_to_repo":"https://git.example/team/app.git","forked_from_project":{"path_with_namespace":"o/app"}}]`))
	f.Add(uint8(2), []byte(`[{"id":1,"name":"..","full_name":"team/..","size":-1}, null]`))
	f.Add(uint8(0), []byte(`[{"id":1,"name":"app","full_name":"team/app","clone_url":"https://git.eXAmple"}]`))
	kinds := []string{"github", "gitlab", "gitea"}
	f.Fuzz(func(t *testing.T, kind uint8, data []byte) {
		all, _, err := forge.Decode(kinds[int(kind)%len(kinds)], "git.example", "team", data)
		if err != nil {
			return
		}
		seen := map[string]bool{}
		for _, r := range all {
			if seen[r.Path] || !strings.HasSuffix(r.Path, ".git") || strings.ContainsAny(r.Path, "\x00\n\\") {
				t.Fatalf("path %q", r.Path)
			}
			seen[r.Path] = true
			for _, s := range strings.Split(r.Path, "/") {
				if s == "" || s == "." || s == ".." {
					t.Fatalf("path %q", r.Path)
				}
			}
			if !strings.HasPrefix(strings.ToLower(r.URL), "https://git.example/") {
				t.Fatalf("address %q", r.URL)
			}
			if r.Size < -1 {
				t.Fatalf("size %d", r.Size)
			}
		}
	})
}
