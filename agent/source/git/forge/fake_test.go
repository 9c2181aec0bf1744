package forge_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"farshore/agent/source/git/forge"
)

// transport answers requests by calling the handler, without a network, so that a test's clock can stand still.
type transport struct{ handler http.Handler }

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	t.handler.ServeHTTP(w, r)
	resp := w.Result()
	resp.Request = r
	return resp, nil
}

// fake is an API with one list of repositories for each path.
type fake struct {
	kind     string
	lists    map[string][]map[string]any // by path below the API's
	user     string                      // whose token it is
	token    string
	base     string // scheme, host and path that links carry
	requests []string
	strayed  []string // requests that were not for the API
	// before may answer a request in place of the fake.
	before func(w http.ResponseWriter, r *http.Request) bool
	// after may change what the fake is about to send.
	headers func(h http.Header)
	most    int // repositories on a page, whatever is asked for
}

var bases = map[string]string{"github": "https://api.github.com", "gitlab": "https://git.example/api/v4", "gitea": "https://git.example/api/v1", "forgejo": "https://git.example/api/v1"}

// newFake returns an API of the kind with n repositories in its list for the path.
func newFake(kind, path string, n int) *fake {
	f := &fake{kind: kind, base: bases[kind], lists: map[string][]map[string]any{}, token: "geheim-token"}
	for i := range n {
		f.lists[path] = append(f.lists[path], repository(kind, "team", fmt.Sprintf("app-%04d", i), 1000+i))
	}
	if n == 0 {
		f.lists[path] = []map[string]any{}
	}
	return f
}

// repository returns a repository as the kind's API shows it, in the parts that tell it apart and some more.
func repository(kind, owner, name string, id int) map[string]any {
	full := owner + "/" + name
	if kind == "gitlab" {
		return map[string]any{
			"id": id, "description": "An app", "name": strings.ToUpper(name), "name_with_namespace": "Team / " + name, "path": name[strings.LastIndex(name, "/")+1:], "path_with_namespace": full,
			"created_at": "2019-04-15T10:00:00.000Z", "default_branch": "main", "ssh_url_to_repo": "git@git.example:" + full + ".git",
			"http_url_to_repo": "https://git.example/" + full + ".git", "web_url": "https://git.example/" + full, "archived": false, "empty_repo": false, "visibility": "private",
			"namespace": map[string]any{"id": 7, "kind": "group", "full_path": owner},
		}
	}
	host := map[string]string{"github": "github.com"}[kind]
	if host == "" {
		host = "git.example"
	}
	return map[string]any{
		"id": id, "node_id": "R_x", "name": name, "full_name": full, "private": true, "fork": false, "archived": false, "empty": false, "size": 12, "default_branch": "main",
		"owner": map[string]any{"login": owner, "id": 7}, "clone_url": "https://" + host + "/" + full + ".git", "ssh_url": "git@" + host + ":" + full + ".git",
		"html_url": "https://" + host + "/" + full, "parent": nil, "permissions": map[string]any{"admin": false, "pull": true},
	}
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.requests = append(f.requests, r.Method+" "+r.URL.RequestURI())
	if !strings.HasPrefix(r.URL.String(), f.base+"/") {
		f.strayed = append(f.strayed, r.URL.String())
	}
	if f.before != nil && f.before(w, r) {
		return
	}
	if !f.authorized(r) {
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprintf(w, `{"message":"Bad credentials: %s"}`, f.token)
		return
	}
	path := "https://" + r.URL.Host + r.URL.EscapedPath()
	path = strings.TrimPrefix(path, f.base)
	if path == "/user" && f.user != "" {
		fmt.Fprintf(w, `{"login":%q,"id":1}`, f.user)
		return
	}
	list, ok := f.lists[path]
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"message":"Not Found","documentation_url":"https://docs.example"}`)
		return
	}
	f.page(w, r, list)
}

func (f *fake) authorized(r *http.Request) bool {
	switch f.kind {
	case "github":
		return r.Header.Get("Authorization") == "Bearer "+f.token
	case "gitlab":
		return r.Header.Get("PRIVATE-TOKEN") == f.token && r.Header.Get("Authorization") == ""
	}
	return r.Header.Get("Authorization") == "token "+f.token
}

// page sends one page of the list with the headers of the kind.
func (f *fake) page(w http.ResponseWriter, r *http.Request, list []map[string]any) {
	q := r.URL.Query()
	size, _ := strconv.Atoi(q.Get(map[string]string{"github": "per_page", "gitlab": "per_page", "gitea": "limit", "forgejo": "limit"}[f.kind]))
	if f.most > 0 {
		size = min(size, f.most)
	}
	number, _ := strconv.Atoi(q.Get("page"))
	number = max(1, number)
	from := min(len(list), (number-1)*size)
	to := min(len(list), from+size)
	f.head(w.Header(), r, number, to < len(list), len(list))
	_ = json.NewEncoder(w).Encode(list[from:to])
}

func (f *fake) head(h http.Header, r *http.Request, number int, more bool, total int) {
	link := func(page int, rel string) string {
		u := *r.URL
		q := u.Query()
		q.Set("page", strconv.Itoa(page))
		u.RawQuery = q.Encode()
		return fmt.Sprintf(`<%s>; rel="%s"`, u.String(), rel)
	}
	links := []string{link(1, "first")}
	if more {
		links = append(links, link(number+1, "next"))
	}
	h.Set("Link", strings.Join(links, ", "))
	switch f.kind {
	case "gitlab":
		h.Set("X-Total", strconv.Itoa(total))
		h.Set("X-Next-Page", "")
		if more {
			h.Set("X-Next-Page", strconv.Itoa(number+1))
		}
	case "gitea", "forgejo":
		h.Set("X-Total-Count", strconv.Itoa(total))
	}
	if f.headers != nil {
		f.headers(h)
	}
}

// options returns options for a listing of the fake.
func (f *fake) options(owner string) forge.Options {
	host := "git.example"
	if f.kind == "github" {
		host = "github.com"
	}
	return forge.Options{Kind: f.kind, Host: host, Owner: owner, Password: token(f.token), Client: &http.Client{Transport: transport{f}}}
}

// list returns all of the owner's repositories. No error may name the token.
func (f *fake) list(t *testing.T, owner string) ([]forge.Repo, error) {
	t.Helper()
	var all []forge.Repo
	err := forge.List(t.Context(), f.options(owner), func(r forge.Repo) error {
		all = append(all, r)
		return nil
	})
	if err != nil && (strings.Contains(err.Error(), f.token) || strings.ContainsAny(err.Error(), "\n\x1b")) {
		t.Errorf("the error is not fit to be shown: %q", err)
	}
	if len(f.strayed) > 0 {
		t.Errorf("requests left the API: %q", f.strayed)
	}
	return all, err
}
