// Package gitserver runs real git servers for tests, and nothing else: git http-backend, git daemon, and sshd. They listen on 127.0.0.1 only, serve every
// repository below one directory, and end with the test. The product never imports it.
package gitserver

import (
	"bytes"
	"crypto/subtle"
	"io"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os/exec"
	"testing"

	"farshore/providers/servers"
)

// HTTPOptions says what a server over http does beyond serving.
type HTTPOptions struct {
	// Username and Password are asked for where one of them is not empty.
	Username, Password string
	// Version 1 keeps the server from speaking version 2 of git's protocol: it answers as git did before. 0 is the newest.
	Version int
	// Push lets pushes in.
	Push bool
	// Intercept, where set, sees each request first, before the password is checked; it returns true when it answered. It may put another writer and request in
	// the place of these by calling next itself. It is called concurrently.
	Intercept func(w http.ResponseWriter, r *http.Request, next http.Handler) bool
}

// HTTP serves the repositories below root by git http-backend and returns the URL that stands for root, without a slash at its end.
func HTTP(tb testing.TB, root string, o HTTPOptions) string {
	tb.Helper()
	server := httptest.NewServer(Handler(tb, root, o))
	tb.Cleanup(func() {
		server.CloseClientConnections() // a client that hangs must not hold up the end
		server.Close()
	})
	return server.URL
}

// Handler is HTTP for a server that the caller runs.
func Handler(tb testing.TB, root string, o HTTPOptions) http.Handler {
	tb.Helper()
	next := authenticated(backend(tb, root, o), o)
	if o.Intercept == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !o.Intercept(w, r, next) {
			next.ServeHTTP(w, r)
		}
	})
}

// maxUpload bounds a push, which is held in memory.
const maxUpload = 256 << 20

// backend runs git http-backend for each request.
func backend(tb testing.TB, root string, o HTTPOptions) http.Handler {
	tb.Helper()
	settings := map[string]string{"http.uploadpack": "true", "http.receivepack": "false"}
	if o.Push {
		settings["http.receivepack"] = "true"
	}
	env := append(environment(settings), "GIT_PROJECT_ROOT="+root, "GIT_HTTP_EXPORT_ALL=1")
	program := git(tb)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A CGI program is told how long its input is.
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxUpload))
		if err != nil {
			return // the client is gone, or sends too much
		}
		r = r.Clone(r.Context())
		r.Body, r.ContentLength, r.TransferEncoding = io.NopCloser(bytes.NewReader(body)), int64(len(body)), nil
		h := &cgi.Handler{Path: program, Args: []string{"http-backend"}, Dir: root, Env: env, Stderr: io.Discard}
		if v := r.Header.Get("Git-Protocol"); v != "" && o.Version == 0 {
			h.Env = append(env[:len(env):len(env)], "GIT_PROTOCOL="+v)
		}
		r.Header.Del("Git-Protocol")
		h.ServeHTTP(w, r)
	})
}

func authenticated(next http.Handler, o HTTPOptions) http.Handler {
	if o.Username == "" && o.Password == "" {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		username, password, _ := r.BasicAuth()
		if subtle.ConstantTimeCompare([]byte(username+":"+password), []byte(o.Username+":"+o.Password)) != 1 {
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func git(tb testing.TB) string {
	tb.Helper()
	return program(tb, "git", "apt-get install git")
}

func program(tb testing.TB, name, how string) string {
	tb.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		servers.Missing(tb, name, how)
	}
	return path
}
