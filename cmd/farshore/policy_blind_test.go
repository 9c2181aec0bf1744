package main

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"farshore/providers/servers"
)

// TestBlindWriterGoesOn interrupts a pass between its packs and its commit, with a writer that may not read packs/: the next pass must go on without them.
func TestBlindWriterGoesOn(t *testing.T) {
	server := servers.MinIO(t)
	bucket := lockedVault(t, server)
	target, err := url.Parse(server.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	var refuse atomic.Bool
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host = target.Scheme, target.Host
		r.Out.Host = r.In.Host
	}}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if refuse.Load() && q.Method == http.MethodPut && strings.Contains(q.URL.Path, "/meta/") {
			http.Error(w, "<Error><Code>AccessDenied</Code></Error>", http.StatusForbidden)
			return
		}
		proxy.ServeHTTP(w, q)
	}))
	defer front.Close()
	server.Endpoint = front.URL
	r := &rig{t: t, dir: t.TempDir()}
	t.Chdir(r.dir)
	vault := server.URL(bucket, "vault")
	writer := servers.MinIOUser(t, server, r.policy(vault, "writer"))
	r.sourceFor(writer)
	setAWS(t, servers.MinIOUser(t, server, r.policy(vault, "owner")))
	r.ok("init", "--vault", vault, "--config", "farshore.yaml", "--kit", "kit", "--quiet")
	setAWS(t, writer)
	r.ok("source", "add", "shop", r.url())
	r.ok("replicate")
	r.put(map[string]string{"new": strings.Repeat("x", 100000)})
	refuse.Store(true)
	r.run("replicate").ends(exitFailed)
	refuse.Store(false)
	r.ok("replicate")
}
