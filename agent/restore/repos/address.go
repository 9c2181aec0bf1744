package repos

import (
	"net/url"
	"strings"
)

// escapePath writes a path as a part of the address: percent-encoded in a URL, as it is behind "host:".
func escapePath(base, path string) string {
	if !strings.Contains(base, "://") {
		return path
	}
	parts := strings.Split(path, "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return strings.Join(parts, "/")
}
