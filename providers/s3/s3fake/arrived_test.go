package s3fake

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rclone/gofakes3"
	"github.com/rclone/gofakes3/s3mem"
)

// slow is a body that takes a while.
type slow struct{ io.Reader }

func (s slow) Read(p []byte) (int, error) {
	time.Sleep(10 * time.Second) // of the bubble's clock
	return s.Reader.Read(p)
}

// TestSlowBody holds that a list and the object's own headers give one time, however long its body took.
func TestSlowBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backend := s3mem.New()
		if err := backend.CreateBucket(t.Context(), "bucket"); err != nil {
			t.Fatal(err)
		}
		server := arrived(gofakes3.New(backend).Server())
		answer := func(method string, body io.Reader, size int64) *httptest.ResponseRecorder {
			r := httptest.NewRequest(method, "/bucket/a", body)
			r.ContentLength = size
			r.Header.Set("Content-Length", "7")
			w := httptest.NewRecorder()
			if server.ServeHTTP(w, r); w.Code != http.StatusOK {
				t.Fatalf("%s: %d %s", method, w.Code, w.Body)
			}
			return w
		}
		answer(http.MethodPut, slow{strings.NewReader("content")}, 7)
		at, err := http.ParseTime(answer(http.MethodGet, nil, 0).Header().Get("Last-Modified"))
		list, lerr := backend.ListBucket(t.Context(), "bucket", nil, gofakes3.ListBucketPage{})
		if err != nil || lerr != nil || !at.Equal(list.Contents[0].LastModified.Truncate(time.Second)) {
			t.Errorf("%v, and listed %v: %v, %v", at, list, err, lerr)
		}
	})
}
