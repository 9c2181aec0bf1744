package config

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// checkRepository accepts a repository's path below a source's address.
func checkRepository(s string) error {
	for part := range strings.SplitSeq(s, "/") {
		if part == "" || part == "." || part == ".." {
			return fmt.Errorf("%q is no path of a repository: write it as it stands behind the url, like team/app.git", s)
		}
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return fmt.Errorf("%q has control characters in it", s)
	}
	return nil
}

// checkUsername accepts what can be sent as a user's name.
func checkUsername(s string) error {
	if s == "" || strings.ContainsRune(s, ':') || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return fmt.Errorf("%q is no user name: it has no colon and no control characters", s)
	}
	return nil
}

// checkCredential reports a credential where none is used, half of one, or two.
func (s *Source) checkCredential() error {
	scheme, _, _ := strings.Cut(s.URL, ":")
	some := s.Password != "" || s.PasswordFile != ""
	switch {
	case s.Username == "" && !some:
		return nil
	case s.RepositoryKind() == "":
		return errors.New("username, password and password_file are for servers of repositories: this source's credentials come from the cloud's own profile or environment")
	case strings.HasSuffix(scheme, "+file"), strings.HasSuffix(scheme, "+ssh"), scheme == "git":
		return fmt.Errorf("%s:// takes no username and no password here: ssh has its own keys and configuration", scheme)
	case !some:
		return errors.New("username needs password_file (or password) beside it")
	case s.Password != "" && s.PasswordFile != "":
		return errors.New("password and password_file say the same: keep one of them")
	}
	return nil
}

// checkRepositories reports a list of repositories where the address says already which are meant.
func (s *Source) checkRepositories() error {
	switch u, err := url.Parse(s.URL); {
	case len(s.Repositories) == 0 || err != nil:
		return nil
	case s.RepositoryKind() == "":
		return errors.New("repositories are for sources of git and svn: use include and exclude here")
	case u.Query().Has("forge"), strings.HasSuffix(u.Scheme, "+file"):
		return errors.New("the url stands for all repositories that are there: leave some out with include and exclude, or list them without forge and match")
	}
	return nil
}
