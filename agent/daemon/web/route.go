package web

import "strings"

// view is what a path leads to.
type view int

const (
	nowhere view = iota
	overviewView
	sourceView
	reportsView
	reportView
	headsView
	headsTextView
	liveView
	staticView
	metricsView
	healthView
	readyView
)

// hashDigits is how long a hash is in a path.
const hashDigits = 64

// routeOf says what a path, without its escapes, leads to, and of what: a source's name, a report's hash, a file's name. Nothing is cleaned or guessed: a path that is not exactly one of
// those that the pages have leads nowhere. No path is ever that of a file.
func routeOf(path string) (view, string) {
	switch path {
	case "/":
		return overviewView, ""
	case "/reports":
		return reportsView, ""
	case "/heads":
		return headsView, ""
	case "/heads.txt":
		return headsTextView, ""
	case "/live.json":
		return liveView, ""
	case "/metrics":
		return metricsView, ""
	case "/healthz":
		return healthView, ""
	case "/readyz":
		return readyView, ""
	case stylePath, scriptPath, iconPath:
		return staticView, path
	}
	if name, ok := strings.CutPrefix(path, "/source/"); ok && name != "" {
		return sourceView, name
	}
	if hash, ok := strings.CutPrefix(path, "/report/"); ok && isHash(hash) {
		return reportView, hash
	}
	return nowhere, ""
}

// isHash reports whether a text is a hash as it is written: 64 hexadecimal digits in small letters.
func isHash(s string) bool {
	if len(s) != hashDigits {
		return false
	}
	return strings.Trim(s, "0123456789abcdef") == ""
}
