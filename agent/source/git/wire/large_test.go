package wire_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"farshore/agent/repo/gitserver"
	"farshore/agent/repo/gittest"
	"farshore/agent/source/git/wire"
)

// TestLargeRequest sends more haves than are told, in a request that is compressed.
func TestLargeRequest(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	id := small(t, root)
	var encoding atomic.Value
	url := gitserver.HTTP(t, root, gitserver.HTTPOptions{Intercept: func(_ http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		if r.Method == http.MethodPost {
			encoding.Store(r.Header.Get("Content-Encoding"))
		}
		return false
	}})
	haves := make([]string, 25000)
	for i := range haves {
		haves[i] = strings.Repeat("0123456789abcdef"[i%16:i%16+1], 36) + hex4(i)
	}
	haves[0] = id
	const emptyPack = 32
	if b := pack(t, open(t, url+"/r", wire.Options{}), []string{id}, haves, true); len(b) != emptyPack {
		t.Errorf("a pack of %d bytes for what is there already", len(b))
	}
	if encoding.Load() != "gzip" {
		t.Errorf("Content-Encoding: %v", encoding.Load())
	}
}

func hex4(n int) string {
	const digits = "0123456789abcdef"
	return string([]byte{digits[n>>12&15], digits[n>>8&15], digits[n>>4&15], digits[n&15]})
}

// TestManyRefs lists 100,000 refs, and fetches what they point to.
func TestManyRefs(t *testing.T) {
	t.Parallel()
	const n = 100_000
	root := t.TempDir()
	repo := gittest.New(t, filepath.Join(root, "r"), "sha1", true)
	id := repo.Commit("main", map[string]string{"a": "a"})
	var packed strings.Builder
	packed.WriteString("# pack-refs with: peeled fully-peeled sorted \n")
	for i := range n {
		fmt.Fprintf(&packed, "%s refs/pull/%06d/head\n", id, i)
	}
	if err := os.WriteFile(filepath.Join(repo.Dir, "packed-refs"), []byte(packed.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	url := gitserver.HTTP(t, root, gitserver.HTTPOptions{})
	for _, version := range []int{2, 0} {
		r := place{url: url, version: version}.open(t, "r")
		m, err := r.Refs(t.Context())
		if err != nil || len(m.Refs) != n+1 {
			t.Fatalf("%d refs, %v", len(m.Refs), err)
		}
		newCopied(t, "sha1").index(t, pack(t, r, m.Tips(), nil, false))
	}
}
