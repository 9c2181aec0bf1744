package control

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"farshore/agent/daemon"
	"farshore/agent/daemon/history"
)

// FuzzDecode holds that no answer makes a client fail in another way than by an error, and that no error moves a cursor.
func FuzzDecode(f *testing.F) {
	f.Add(200, "1", []byte(`{"version":"v1","sources":[{"name":"shop"}]}`))
	f.Add(404, "1", []byte(`{"error":{"code":"no_job","message":"m","hint":"h"}}`))
	f.Add(200, "2", []byte(`{}`))
	f.Fuzz(func(t *testing.T, status int, v string, data []byte) {
		for _, out := range []any{new(daemon.Status), new(daemon.Triggered), new(history.Run), new(struct{})} {
			err := decode(status, v, data, out)
			if (err == nil) != (status == 200 && v == version && json.Unmarshal(data, out) == nil) {
				t.Fatal(err)
			}
			if err != nil && strings.ContainsAny(err.Error(), "\x1b\r\u202e") {
				t.Fatalf("%q", err)
			}
		}
	})
}

// quiet is a backend that only counts.
type quiet struct{ jobs []string }

func (*quiet) Status() daemon.Status { return daemon.Status{} }
func (q *quiet) Trigger(job string, _ int64) (daemon.Triggered, error) {
	q.jobs = append(q.jobs, job)
	return daemon.Triggered{Job: job}, nil
}
func (*quiet) Await(context.Context, string, time.Time) (history.Run, error) {
	return history.Run{}, nil
}
func (*quiet) Reload(context.Context) error { return nil }

// FuzzServe holds that whatever a peer sends is answered with JSON or not at all, and that nothing is triggered but what was asked for by name.
func FuzzServe(f *testing.F) {
	f.Add([]byte("GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n"))
	f.Add([]byte("POST /v1/trigger HTTP/1.1\r\nHost: x\r\nContent-Length: 15\r\n\r\n{\"job\":\"probe\"}"))
	f.Add([]byte("GET /v1/await?job=probe&after=2026-01-01T00:00:00Z HTTP/1.1\r\nHost: x\r\n\r\n"))
	f.Add([]byte("POST /v1/reload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := http.ReadRequest(newReader(data))
		if err != nil {
			return
		}
		q := new(quiet)
		s := NewServer(nil, q, Options{})
		w := &recorder{header: http.Header{}}
		s.serve(w, r)
		if !json.Valid(w.body.Bytes()) || w.status < 200 || w.status > 503 || w.header.Get(versionHeader) != version {
			t.Fatalf("%d %q", w.status, w.body.String())
		}
		for _, job := range q.jobs {
			if job == "" || len(job) > maxJob || r.Method != http.MethodPost || r.URL.Path != pathTrigger {
				t.Fatalf("%q was triggered", job)
			}
		}
	})
}

func newReader(data []byte) *bufio.Reader { return bufio.NewReader(bytes.NewReader(data)) }

// recorder takes an answer, and deadlines.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header              { return r.header }
func (r *recorder) WriteHeader(status int)           { r.status = status }
func (r *recorder) Write(p []byte) (int, error)      { return r.body.Write(p) }
func (r *recorder) SetReadDeadline(time.Time) error  { return nil }
func (r *recorder) SetWriteDeadline(time.Time) error { return nil }
