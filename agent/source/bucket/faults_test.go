package bucket_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"farshore/agent/record"
	"farshore/agent/source"
	"farshore/agent/source/bucket"
	"farshore/agent/source/sourcetest"
	"farshore/providers/servers"
)

func TestListingThatFailsIsNeverTakenForWhole(t *testing.T) {
	p := newPlace(t, servers.Fake(t))
	fill(t, p, 1005)
	for name, refuse := range map[string]func(w http.ResponseWriter) bool{
		"error":   func(w http.ResponseWriter) bool { return say(w, 500, "InternalError", "try again") },
		"denied":  func(w http.ResponseWriter) bool { return say(w, 403, "AccessDenied", "no") },
		"cut":     func(w http.ResponseWriter) bool { io.WriteString(w, "<ListBucketResult><Contents><Key>x"); return true },
		"dropped": func(w http.ResponseWriter) bool { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			px := between(t, p)
			px.answer(func(w http.ResponseWriter, r *http.Request) bool {
				return isList(r) && r.URL.Query().Has("continuation-token") && refuse(w)
			})
			s := px.source(t, func(o *bucket.Options) { o.Retry.Patience = 50 * time.Millisecond })
			for _, r := range []source.Range{{}, {Splits: []string{"key-00002"}}} {
				n := 0
				err := s.List(t.Context(), r, func(source.Entry) error { n++; return nil })
				if err == nil || n > 1002 {
					t.Errorf("a listing whose second page failed: %d entries and %v", n, err)
				}
			}
		})
	}
}

func TestListingOutlivesFailuresOfTheMoment(t *testing.T) {
	p := newPlace(t, servers.Fake(t))
	fill(t, p, 1005)
	px := between(t, p)
	var n atomic.Int64
	px.answer(func(w http.ResponseWriter, r *http.Request) bool {
		switch n.Add(1) {
		case 1:
			return say(w, 503, "SlowDown", "slow down")
		case 3:
			panic(http.ErrAbortHandler)
		case 4:
			return say(w, 500, "InternalError", "oops")
		}
		return false
	})
	if got := len(sourcetest.List(t, px.source(t), source.Range{})); got != 1005 {
		t.Errorf("%d entries, want 1005", got)
	}
}

func TestDroppedConnectionsResume(t *testing.T) {
	p := newPlace(t, servers.Versity(t))
	content := pattern(300_000)
	p.put(t, "big", content)
	px := between(t, p)
	px.alter = func(resp *http.Response) error {
		if isGet(resp.Request) {
			resp.Body = &cutOff{resp.Body, 70_000}
		}
		return nil
	}
	s := px.source(t)
	e := entry(t, s, "big")
	rec, got := sourcetest.Capture(t, s, e)
	if got != content || rec.Size() != 300_000 {
		t.Fatalf("captured %d bytes that are not the object's", len(got))
	}
	gets := px.requests(isGet)
	if len(gets) != 5 {
		t.Errorf("%d requests, want 5 of 70,000 bytes each", len(gets))
	}
	for i, r := range gets {
		if r.Header.Get("If-Match") != e.Attrs["etag"] || (r.Header.Get("Range") != "") != (i > 0) {
			t.Errorf("request %d: If-Match %s, Range %q", i, r.Header.Get("If-Match"), r.Header.Get("Range"))
		}
	}
}

func TestFailuresOfTheMoment(t *testing.T) {
	p := newPlace(t, servers.Fake(t))
	p.put(t, "a", "content")
	for name, refuse := range map[string]func(w http.ResponseWriter) bool{
		"slow down": func(w http.ResponseWriter) bool { return say(w, 503, "SlowDown", "slow down") },
		"throttled": func(w http.ResponseWriter) bool { return say(w, 429, "TooManyRequests", "slow down") },
		"internal":  func(w http.ResponseWriter) bool { return say(w, 500, "InternalError", "oops") },
		"timeout":   func(w http.ResponseWriter) bool { return say(w, 400, "RequestTimeout", "too slow") },
		"bare 502":  func(w http.ResponseWriter) bool { w.WriteHeader(502); return true },
		"dropped":   func(w http.ResponseWriter) bool { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			px := between(t, p)
			var n atomic.Int64
			px.answer(func(w http.ResponseWriter, r *http.Request) bool { return isGet(r) && n.Add(1) <= 3 && refuse(w) })
			s := px.source(t)
			if _, got := sourcetest.Capture(t, s, entry(t, s, "a")); got != "content" || n.Load() != 4 {
				t.Errorf("captured %q with %d requests, want 4", got, n.Load())
			}
			px.answer(func(w http.ResponseWriter, r *http.Request) bool { return isGet(r) && refuse(w) })
			s = px.source(t, func(o *bucket.Options) { o.Retry.Patience = 30 * time.Millisecond })
			_, err := s.Capture(t.Context(), entry(t, s, "a"), nil, &sourcetest.Sink{})
			var unreadable *source.Unreadable
			if err == nil || errors.As(err, &unreadable) || errors.Is(err, source.ErrGone) {
				t.Errorf("a store that always fails: %v, want an error of the source", err)
			}
		})
	}
}

func TestSilenceIsAFailure(t *testing.T) {
	p := newPlace(t, servers.Fake(t))
	content := pattern(100_000)
	p.put(t, "a", content)
	px := between(t, p)
	var n atomic.Int64
	px.answer(func(w http.ResponseWriter, r *http.Request) bool {
		switch {
		case isGet(r) && n.Add(1) == 1: // no answer at all
			<-r.Context().Done()
			return true
		case isGet(r) && n.Load() == 2: // headers and half of the body
			w.Header().Set("Content-Length", "100000")
			w.Header().Set("Etag", strings.Trim(r.Header.Get("If-Match"), ""))
			io.WriteString(w, content[:50_000])
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			return true
		}
		return false
	})
	s := px.source(t, func(o *bucket.Options) { o.Retry.Silence = 100 * time.Millisecond })
	if _, got := sourcetest.Capture(t, s, entry(t, s, "a")); got != content {
		t.Errorf("captured %d bytes that are not the object's", len(got))
	}
}

func TestOneObjectThatAlwaysFailsIsUnreadable(t *testing.T) {
	p := newPlace(t, servers.Fake(t))
	p.put(t, "bad", "x")
	p.put(t, "good", "y")
	px := between(t, p)
	s := px.source(t, func(o *bucket.Options) { o.Retry.Patience = 200 * time.Millisecond })
	good := entry(t, s, "good")
	px.answer(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/bad") {
			return false
		}
		if _, err := s.Capture(r.Context(), good, nil, &sourcetest.Sink{}); err != nil {
			t.Error(err)
		}
		return say(w, 500, "InternalError", "a disk is gone")
	})
	_, err := s.Capture(t.Context(), entry(t, s, "bad"), nil, &sourcetest.Sink{})
	wantUnreadable(t, err, record.ReasonOther, "a disk is gone")
}

func wantUnreadable(t *testing.T, err error, reason, detail string) {
	t.Helper()
	var u *source.Unreadable
	if !errors.As(err, &u) || u.Reason != reason || !strings.Contains(u.Detail, detail) {
		t.Fatalf("got %v, want unreadable (%s) with %q", err, reason, detail)
	}
	if u.Attrs["etag"] == "" || u.Attrs["size"] == "" || u.Attrs["modified"] == "" {
		t.Errorf("what the listing said is not kept: %v", u.Attrs)
	}
}

func TestRefusals(t *testing.T) {
	p := newPlace(t, servers.Fake(t))
	p.put(t, "a", "content")
	px := between(t, p)
	s := px.source(t)
	e := entry(t, s, "a")
	for _, c := range []struct {
		status        int
		code, message string
		reason        string // "": an error of the source
	}{
		{403, "AccessDenied", "Access Denied", record.ReasonDenied},
		{403, "AccessDenied", "User x is not authorized to perform: kms:Decrypt on key y", record.ReasonKMS},
		{400, "KMS.DisabledException", "key is disabled", record.ReasonKMS},
		{403, "InvalidObjectState", "The operation is not valid for the object's storage class", record.ReasonArchived},
		{400, "InvalidRequest", "The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the object.", record.ReasonCustomerKey},
		{400, "SSECustomerKeyMD5Mismatch", "wrong key", record.ReasonCustomerKey},
		{400, "XMinioInvalidObjectName", "Object name contains unsupported characters.", record.ReasonBadName},
		{400, "InvalidArgument", "something odd", record.ReasonOther},
		{403, "InvalidAccessKeyId", "", ""},
		{403, "RequestTimeTooSkewed", "", ""},
		{400, "ExpiredToken", "", ""},
		{401, "Unauthorized", "", ""},
		{404, "NoSuchBucket", "", ""},
		{301, "PermanentRedirect", "", ""},
		{501, "NotImplemented", "", ""},
	} {
		t.Run(c.code+" "+c.reason, func(t *testing.T) {
			px.answer(func(w http.ResponseWriter, r *http.Request) bool {
				return isGet(r) && say(w, c.status, c.code, c.message)
			})
			defer px.answer(nil)
			_, err := s.Capture(t.Context(), e, nil, &sourcetest.Sink{})
			if c.reason != "" {
				wantUnreadable(t, err, c.reason, c.message)
				return
			}
			var u *source.Unreadable
			if err == nil || errors.As(err, &u) || errors.Is(err, source.ErrGone) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v, want one line about the source", err)
			}
		})
	}
}

func TestWrongBytesAreNoticed(t *testing.T) {
	p := newPlace(t, servers.Versity(t)) // states a CRC64NVME of its own
	content := pattern(200_000)
	p.put(t, "a", content)
	for name, size := range map[string]int64{"whole": 0, "in ranges": 16 << 10} {
		t.Run(name, func(t *testing.T) {
			px := between(t, p)
			var wrong atomic.Int64
			wrong.Store(1)
			px.alter = func(resp *http.Response) error {
				if isGet(resp.Request) && wrong.Add(-1) >= 0 {
					resp.Body = flip{resp.Body}
				}
				return nil
			}
			s := px.source(t, func(o *bucket.Options) { o.RangeSize = size })
			e := entry(t, s, "a")
			if _, got := sourcetest.Capture(t, s, e); got != content {
				t.Error("wrong bytes once: captured them")
			}
			wrong.Store(1 << 40)
			_, err := s.Capture(t.Context(), e, nil, &sourcetest.Sink{})
			wantUnreadable(t, err, record.ReasonChecksum, "Crc64nvme")
		})
	}
}

func TestMD5IsComparedOnDemand(t *testing.T) {
	p := newPlace(t, servers.Fake(t)) // states no checksum
	p.put(t, "a", "content")
	px := between(t, p)
	px.alter = func(resp *http.Response) error {
		if isGet(resp.Request) {
			resp.Body = flip{resp.Body}
		}
		return nil
	}
	s := px.source(t, func(o *bucket.Options) { o.CheckMD5 = true })
	_, err := s.Capture(t.Context(), entry(t, s, "a"), nil, &sourcetest.Sink{})
	wantUnreadable(t, err, record.ReasonChecksum, "MD5")
	s = px.source(t)
	if _, got := sourcetest.Capture(t, s, entry(t, s, "a")); got == "content" || s.Notes().Unchecked != 1 {
		t.Errorf("captured %q, notes %+v", got, s.Notes())
	}
}
