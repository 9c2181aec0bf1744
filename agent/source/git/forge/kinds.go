package forge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// found is what a listing tells about one repository.
type found struct {
	id              int64
	full, name      string // "owner/app", "app"
	clone, parent   string
	size            int64
	archived, empty bool
}

// kind is what differs between the forges.
type kind struct {
	name string
	// api derives the API's address from the host.
	api func(host string) string
	// authorize adds the token to a request.
	authorize func(h http.Header, token string)
	// scope says what a token needs.
	scope string
	// groups says that owners have paths.
	groups bool
	// page is the number of repositories asked for at once, and limit the parameter that says so.
	page  int
	limit string
	// numbered pages are asked for by number, whatever the server's links say: they carry the address that it believes to have.
	numbered bool
	// first and second are the lists to try in turn: of an organisation or group, and of a user where that is not found.
	first  func(owner string) string
	second func(ctx context.Context, l *listing) (string, error)
	// decode reads a page.
	decode func(data []byte) ([]found, error)
	// below returns the repository's path below the owner, and whether it is there.
	below func(f found, owner string) (string, bool)
}

// kinds are the forges by the name that options give them.
var kinds = map[string]*kind{"github": &github, "gitlab": &gitlab, "gitea": &gitea, "forgejo": &forgejo}

// github follows https://docs.github.com/rest/repos/repos and /rest/using-the-rest-api. The oldest repositories come first, so that new ones do not move the pages.
var github = kind{
	name: "GitHub", page: 100, limit: "per_page",
	scope: "a token needs the scope repo, or as a fine-grained one the permissions Metadata and Contents (read) on all repositories of the owner",
	api: func(host string) string {
		if strings.EqualFold(host, "github.com") {
			return "https://api.github.com"
		}
		return "https://" + host + "/api/v3"
	},
	authorize: func(h http.Header, token string) {
		h.Set("Authorization", "Bearer "+token)
		h.Set("X-GitHub-Api-Version", "2022-11-28")
	},
	first: func(owner string) string {
		return "/orgs/" + url.PathEscape(owner) + "/repos?type=all&sort=created&direction=asc"
	},
	second: githubUser,
	decode: decodeGitHub,
	below:  func(f found, _ string) (string, bool) { return f.name, !strings.Contains(f.name, "/") },
}

// githubUser returns the list of a user's repositories: with the private ones when the token is that user's own.
func githubUser(ctx context.Context, l *listing) (string, error) {
	public := "/users/" + url.PathEscape(l.options.Owner) + "/repos?type=owner&sort=created&direction=asc"
	if l.options.Password == nil {
		return public, nil
	}
	answer, err := l.get(ctx, l.base.JoinPath("user"))
	if err != nil {
		return "", fmt.Errorf("whose token it is: %w", err)
	}
	var user struct {
		Login string `json:"login"`
	}
	if err := json.Unmarshal(answer.data, &user); err != nil || user.Login == "" {
		return "", errors.New("whose token it is: the server's answer can't be read")
	}
	if strings.EqualFold(user.Login, l.options.Owner) {
		return "/user/repos?affiliation=owner&visibility=all&sort=created&direction=asc", nil
	}
	return public, nil
}

func decodeGitHub(data []byte) ([]found, error) {
	var list []struct {
		ID       int64  `json:"id"`
		Name     string `json:"name"`
		FullName string `json:"full_name"`
		CloneURL string `json:"clone_url"`
		Size     int64  `json:"size"` // in KiB
		Archived bool   `json:"archived"`
		Empty    bool   `json:"empty"` // of Gitea and Forgejo only
		Parent   *struct {
			FullName string `json:"full_name"`
		} `json:"parent"`
	}
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, err
	}
	all := make([]found, 0, len(list))
	for _, r := range list {
		f := found{id: r.ID, full: r.FullName, name: r.Name, clone: r.CloneURL, size: kib(r.Size), archived: r.Archived, empty: r.Empty}
		if r.Parent != nil {
			f.parent = r.Parent.FullName
		}
		all = append(all, f)
	}
	return all, nil
}

// kib returns n KiB in bytes, -1 when that is no size.
func kib(n int64) int64 {
	if n < 0 || n > 1<<50 {
		return -1
	}
	return n << 10
}

// gitlab follows https://docs.gitlab.com/api/groups and /api/rest.
var gitlab = kind{
	name: "GitLab", page: 100, limit: "per_page", groups: true,
	scope:     "a token needs the scopes read_api and read_repository, and the role Reporter in the group",
	api:       func(host string) string { return "https://" + host + "/api/v4" },
	authorize: func(h http.Header, token string) { h.Set("PRIVATE-TOKEN", token) },
	first: func(owner string) string {
		return "/groups/" + url.PathEscape(owner) + "/projects?include_subgroups=true&with_shared=false&order_by=id&sort=asc"
	},
	second: func(_ context.Context, l *listing) (string, error) {
		return "/users/" + url.PathEscape(l.options.Owner) + "/projects?order_by=id&sort=asc", nil
	},
	decode: decodeGitLab,
	below: func(f found, owner string) (string, bool) {
		n := len(owner) + 1
		if len(f.full) <= n || !strings.EqualFold(f.full[:n], owner+"/") {
			return "", false
		}
		return f.full[n:], true
	},
}

func decodeGitLab(data []byte) ([]found, error) {
	var list []struct {
		ID       int64  `json:"id"`
		Path     string `json:"path"`
		FullPath string `json:"path_with_namespace"`
		CloneURL string `json:"http_url_to_repo"`
		Archived bool   `json:"archived"`
		Empty    bool   `json:"empty_repo"`
		Parent   *struct {
			FullPath string `json:"path_with_namespace"`
		} `json:"forked_from_project"`
	}
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, err
	}
	all := make([]found, 0, len(list))
	for _, p := range list {
		f := found{id: p.ID, full: p.FullPath, name: p.Path, clone: p.CloneURL, size: -1, archived: p.Archived, empty: p.Empty}
		if p.Parent != nil {
			f.parent = p.Parent.FullPath
		}
		all = append(all, f)
	}
	return all, nil
}

// gitea follows https://docs.gitea.com/api: its repositories look as those of GitHub.
var gitea = kind{
	name: "Gitea", page: 50, limit: "limit", numbered: true,
	scope:     "a token needs the permissions read:organization, read:user and read:repository",
	api:       func(host string) string { return "https://" + host + "/api/v1" },
	authorize: func(h http.Header, token string) { h.Set("Authorization", "token "+token) },
	first:     func(owner string) string { return "/orgs/" + url.PathEscape(owner) + "/repos" },
	second: func(_ context.Context, l *listing) (string, error) {
		return "/users/" + url.PathEscape(l.options.Owner) + "/repos", nil
	},
	decode: decodeGitHub,
	below:  github.below,
}

// forgejo kept Gitea's API.
var forgejo = func() kind {
	k := gitea
	k.name = "Forgejo"
	return k
}()
