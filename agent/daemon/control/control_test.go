package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"farshore/agent/daemon"
	"farshore/agent/daemon/history"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// backend is a daemon as far as it is asked.
type backend struct {
	mu        sync.Mutex
	triggered []string
	accepted  int64 // by the last trigger
	// await and reload are what the daemon does.
	await  func(ctx context.Context, job string, after time.Time) (history.Run, error)
	reload func(ctx context.Context) error
}

func (b *backend) Status() daemon.Status {
	return daemon.Status{Version: "v1", PID: 7, Started: start, Zone: "UTC", Sources: []daemon.SourceStatus{{Name: "shop", JobStatus: daemon.JobStatus{Job: "pass shop"}, Late: true}}}
}

func (b *backend) Trigger(job string, accept int64) (daemon.Triggered, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.triggered, b.accepted = append(b.triggered, job), accept
	switch job {
	case "pass shop":
		return daemon.Triggered{Job: job, At: start, Waiting: true}, nil
	case "probe":
		return daemon.Triggered{}, fmt.Errorf("%w: since 12:00", daemon.ErrRunning)
	}
	return daemon.Triggered{}, fmt.Errorf("%w: there are pass shop and probe", daemon.ErrNoJob)
}

func (b *backend) Await(ctx context.Context, job string, after time.Time) (history.Run, error) {
	return b.await(ctx, job, after)
}

func (b *backend) Reload(ctx context.Context) error { return b.reload(ctx) }

// serve serves a backend at a socket until the test ends, and returns a client and what was logged.
func serve(t *testing.T, b *backend) (*Client, *Server, *bytes.Buffer) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	log := new(bytes.Buffer)
	s := NewServer(l, b, Options{slog.New(slog.NewTextHandler(log, nil))})
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := s.Serve(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		serving.Wait()
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			t.Error("the socket is still there", err)
		}
	})
	return Dial(path), s, log
}

// TestAsk asks all there is to ask.
func TestAsk(t *testing.T) {
	run := history.Run{Job: "pass shop", Kind: history.KindPass, Started: start, Ended: start.Add(time.Minute), Pass: &history.Pass{Complete: true, Seq: 3}}
	b := &backend{
		await: func(_ context.Context, job string, after time.Time) (history.Run, error) {
			if job != run.Job || !after.Equal(start.Add(time.Nanosecond)) {
				t.Errorf("%q after %s", job, after)
			}
			return run, nil
		},
		reload: func(context.Context) error { return nil },
	}
	c, s, log := serve(t, b)
	status, err := c.Status(t.Context())
	if err != nil || !reflect.DeepEqual(status, b.Status()) {
		t.Errorf("%+v %v", status, err)
	}
	triggered, err := c.Trigger(t.Context(), "pass shop", 17)
	if err != nil || !triggered.Waiting || !triggered.At.Equal(start) || b.accepted != 17 {
		t.Errorf("%+v %v", triggered, err)
	}
	got, err := c.Await(t.Context(), "pass shop", start.Add(time.Nanosecond).In(time.FixedZone("x", -3600)))
	if err != nil || !reflect.DeepEqual(got, run) {
		t.Errorf("%+v %v", got, err)
	}
	if err := c.Reload(t.Context()); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	for _, want := range []string{"job=\"pass shop\" accepts_snapshot=17 uid=" + fmt.Sprint(os.Getuid()) + " pid=" + fmt.Sprint(os.Getpid()), "a reload was asked for over the socket\" uid=" + fmt.Sprint(os.Getuid())} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("%s is not in the log:\n%s", want, log)
		}
	}
}

// TestRefusals holds what a daemon refuses to errors that code can test and people can read.
func TestRefusals(t *testing.T) {
	b := &backend{reload: func(context.Context) error {
		return fmt.Errorf("reload: %w", &Error{CodeConfig, "farshore.yaml:3: no such key", "look at `farshore config check`"})
	}}
	c, _, _ := serve(t, b)
	var said *Error
	if _, err := c.Trigger(t.Context(), "probe", 0); !errors.Is(err, daemon.ErrRunning) || !strings.Contains(err.Error(), "since 12:00") || errors.Is(err, daemon.ErrNoJob) {
		t.Error(err)
	}
	if _, err := c.Trigger(t.Context(), "pass x", 0); !errors.Is(err, daemon.ErrNoJob) || !strings.Contains(err.Error(), "pass shop") {
		t.Error(err)
	}
	if err := c.Reload(t.Context()); !errors.As(err, &said) || *said != (Error{CodeConfig, "farshore.yaml:3: no such key", "look at `farshore config check`"}) {
		t.Errorf("%#v", err)
	}
	b.reload = func(context.Context) error { return errors.New("the disk is full") }
	if err := c.Reload(t.Context()); !errors.As(err, &said) || said.Code != CodeFailed || said.Message != "the disk is full" {
		t.Errorf("%#v", err)
	}
	b.await = func(context.Context, string, time.Time) (history.Run, error) {
		return history.Run{}, fmt.Errorf("%w: it is gone", daemon.ErrNoJob)
	}
	if _, err := c.Await(t.Context(), "probe", start); !errors.Is(err, daemon.ErrNoJob) {
		t.Error(err)
	}
}

// TestRequests sends what no client of this program sends.
func TestRequests(t *testing.T) {
	b := new(backend)
	c, _, _ := serve(t, b)
	for _, k := range []struct {
		method, target, body string
		status               int
		code                 string
	}{
		{"GET", "/", "", 404, "not_found"},
		{"GET", "/v2/status", "", 404, "not_found"},
		{"GET", "/v1/status/", "", 404, "not_found"},
		{"POST", "/v1/status", "", 405, "request"},
		{"DELETE", "/v1/status", "", 405, "request"},
		{"GET", "/v1/trigger", "", 405, "request"},
		{"POST", "/v1/trigger", "", 400, "request"},
		{"POST", "/v1/trigger", "{}", 400, "request"},
		{"POST", "/v1/trigger", `{"job":""}`, 400, "request"},
		{"POST", "/v1/trigger", `{"job":"probe","more":1}`, 400, "request"},
		{"POST", "/v1/trigger", `{"job":"pass shop"}{}`, 400, "request"},
		{"POST", "/v1/trigger", `{"job":"` + strings.Repeat("x", maxJob+1) + `"}`, 400, "request"},
		{"POST", "/v1/trigger", `{"job":"pass shop"` + strings.Repeat(" ", maxBody) + `}`, 400, "request"},
		{"GET", "/v1/await?job=probe", "", 400, "request"},
		{"GET", "/v1/await?job=probe&after=yesterday", "", 400, "request"},
		{"GET", "/v1/await?after=2026-01-01T00:00:00Z", "", 400, "request"},
		{"GET", "/v1/reload", "", 405, "request"},
	} {
		r, err := http.NewRequest(k.method, "http://x"+k.target, strings.NewReader(k.body))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := c.http.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		var said struct{ Error Error }
		err = json.NewDecoder(answer.Body).Decode(&said)
		_ = answer.Body.Close()
		if err != nil || answer.StatusCode != k.status || said.Error.Code != k.code || said.Error.Message == "" || answer.Header.Get(versionHeader) != version {
			t.Errorf("%s %.60s %.60s: %d %+v %v", k.method, k.target, k.body, answer.StatusCode, said, err)
		}
	}
	if len(b.triggered) > 0 {
		t.Errorf("triggered: %q", b.triggered)
	}
}

// TestHangUp holds that an await ends when whoever asked is gone, and when the daemon ends.
func TestHangUp(t *testing.T) {
	begun, over := make(chan struct{}), make(chan struct{})
	b := &backend{await: func(ctx context.Context, _ string, _ time.Time) (history.Run, error) {
		begun <- struct{}{}
		<-ctx.Done()
		over <- struct{}{}
		return history.Run{}, ctx.Err()
	}}
	c, s, _ := serve(t, b)
	ctx, hangUp := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	await := func(ctx context.Context) {
		_, err := c.Await(ctx, "probe", start)
		failed <- err
	}
	go await(ctx)
	<-begun
	hangUp()
	<-over
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	go await(t.Context())
	<-begun
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	<-over
	var said *Error
	if err := <-failed; !errors.As(err, &said) || said.Code != CodeStopping {
		t.Error(err)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if _, err := c.Status(t.Context()); !errors.Is(err, ErrNotRunning) {
		t.Error(err)
	}
}

// TestMany holds that no number of awaits keeps others from asking.
func TestMany(t *testing.T) {
	begun, end := make(chan struct{}), make(chan struct{})
	c, _, _ := serve(t, &backend{await: func(context.Context, string, time.Time) (history.Run, error) {
		begun <- struct{}{}
		<-end
		return history.Run{Job: "probe"}, nil
	}})
	failed := make(chan error)
	for range maxAwaits {
		go func() {
			_, err := c.Await(t.Context(), "probe", start)
			failed <- err
		}()
		<-begun
	}
	var said *Error
	if _, err := c.Await(t.Context(), "probe", start); !errors.As(err, &said) || said.Code != CodeBusy {
		t.Error(err)
	}
	if _, err := c.Status(t.Context()); err != nil {
		t.Error(err)
	}
	close(end)
	for range maxAwaits {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
}

// pretender answers all that connect to a socket with the same bytes.
func pretender(t *testing.T, bytes string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				_, _ = c.Read(make([]byte, 1<<10))
				_, _ = io.WriteString(c, bytes)
				_ = c.Close()
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		all.Wait()
	})
	return path
}

// TestStrangers holds a client to clear words about what is no daemon, and about one of another version.
func TestStrangers(t *testing.T) {
	http200 := func(v, body string) string {
		return fmt.Sprintf("HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s", v, len(body), body)
	}
	mine := versionHeader + ": " + version + "\r\n"
	for name, k := range map[string]struct {
		answer string
		want   error
		says   string
	}{
		"another program": {http200("", "{}"), ErrStrange, "no farshore daemon"},
		"no JSON":         {http200(mine, "<html>"), ErrStrange, "no farshore daemon"},
		"newer":           {http200(versionHeader+": 2\r\n", "{}"), ErrVersion, "version 2 "},
		"odd version":     {http200(versionHeader+": \xe2\x80\xae2\r\n", "{}"), ErrVersion, `\xe2\x80\xae2`},
		"hung up":         {"", nil, "hung up"},
		"half":            {"HTTP/1.1 200 OK\r\n" + mine + "Content-Length: 10\r\n\r\n{", nil, "hung up"},
		"no HTTP":         {"SSH-2.0-x\r\n\r\n", nil, "could not be asked"},
		"odd status":      {"HTTP/1.1 500 x\r\n" + mine + "Content-Length: 2\r\n\r\n{}", ErrStrange, "status 500"},
		"a redirect":      {"HTTP/1.1 302 x\r\nLocation: http://example.net/\r\n" + mine + "Content-Length: 0\r\n\r\n", ErrStrange, "status 302"},
		"odd error":       {"HTTP/1.1 500 x\r\n" + mine + "Content-Length: 48\r\n\r\n" + `{"error":{"code":"x","message":"a\u202eb\u001bc"}}`[:48], ErrStrange, "status 500"},
	} {
		path := pretender(t, k.answer)
		_, err := Dial(path).Status(t.Context())
		if err == nil || k.want != nil && !errors.Is(err, k.want) || !strings.Contains(err.Error(), k.says) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
	}
	odd := `{"error":{"code":"x","message":"a\u202eb\u001bc"}}`
	_, err := Dial(pretender(t, fmt.Sprintf("HTTP/1.1 500 x\r\n%sContent-Length: %d\r\n\r\n%s", mine, len(odd), odd))).Status(t.Context())
	if err == nil || err.Error() != `a\xe2\x80\xaeb\x1bc` {
		t.Errorf("%q", err)
	}
}

// TestNobody holds a client to clear words where nobody is, or nobody that it may talk to.
func TestNobody(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	if _, err := Dial(path).Status(t.Context()); !errors.Is(err, ErrNotRunning) || !strings.Contains(err.Error(), path) {
		t.Error(err)
	}
	leave(t, path)
	if _, err := Dial(path).Status(t.Context()); !errors.Is(err, ErrNotRunning) {
		t.Error(err)
	}
	if err := Dial(path).explained(t.Context(), fmt.Errorf("dial: %w", os.ErrPermission)); !errors.Is(err, ErrPermission) || !strings.Contains(err.Error(), "members of the group ") {
		t.Error(err)
	}
	if err := Dial(filepath.Join(dir, "none", "s")).explained(t.Context(), os.ErrPermission); !errors.Is(err, ErrPermission) {
		t.Error(err)
	}
}
