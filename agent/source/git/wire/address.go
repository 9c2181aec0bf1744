package wire

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
)

// address is where a repository is: a parsed URL without secrets.
type address struct {
	scheme, user, host, port, path string
	escaped                        string // the path as a URL has it
}

// parseAddress takes apart https://host/p, http://host/p, ssh://[user@]host[:port]/p and git://host[:port]/p. No error repeats a password.
func parseAddress(s string) (address, error) {
	u, err := url.Parse(s)
	if err != nil {
		var bad *url.Error
		if errors.As(err, &bad) {
			err = bad.Err // without the address, which may hold a password
		}
		return address{}, fmt.Errorf("the address of the repository can't be read: %w", err)
	}
	shown := u.Redacted()
	if u.User != nil {
		if _, has := u.User.Password(); has {
			return address{}, fmt.Errorf("%s: a password has no place in an address: name it in the source's settings", shown)
		}
	}
	a := address{scheme: u.Scheme, user: u.User.Username(), host: u.Hostname(), port: u.Port(), path: u.Path, escaped: u.EscapedPath()}
	return a, a.check(shown, u)
}

func (a *address) check(shown string, u *url.URL) error {
	switch a.scheme {
	case "https", "http":
		if a.user != "" {
			return fmt.Errorf("%s: a user name has no place in an address of %s: name it in the source's settings", shown, a.scheme)
		}
		if u.RawQuery != "" || u.Fragment != "" {
			return fmt.Errorf("%s: the address of a repository has no ? and no #", shown)
		}
	case "ssh", "git":
		if u.RawQuery != "" { // in a path of these, ? is a character like others
			a.path += "?" + u.RawQuery
		}
	default:
		return fmt.Errorf("%s: the address of a repository begins with https://, http://, ssh:// or git://", shown)
	}
	switch {
	case a.host == "":
		return fmt.Errorf("%s: the address has no host", shown)
	case strings.HasPrefix(a.host, "-") || strings.HasPrefix(a.user, "-"):
		return fmt.Errorf("%s: neither host nor user can begin with a dash", shown)
	case strings.ContainsAny(a.host+a.user+a.path, "\x00\r\n"):
		return fmt.Errorf("%s: the address has a control character", shown)
	case strings.Trim(a.path, "/") == "":
		return fmt.Errorf("%s: the address has no path of a repository", shown)
	}
	return nil
}

// String is the address as errors show it.
func (a address) String() string {
	user := a.user
	if user != "" {
		user += "@"
	}
	return clean(a.scheme + "://" + user + a.hostPort() + a.path)
}

// base is the address in a URL, to which paths are added.
func (a address) base() string {
	return a.scheme + "://" + a.hostPort() + strings.TrimRight(a.escaped, "/")
}

func (a address) hostPort() string {
	host := a.host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if a.port != "" {
		host += ":" + a.port
	}
	return host
}

// loopback reports whether a host is this machine.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
