package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"farshore/agent/daemon"
	"farshore/agent/daemon/history"
	"farshore/agent/units"
)

const (
	// asking is how long a daemon has for an answer, dialing for taking a connection.
	asking  = 10 * time.Second
	dialing = 5 * time.Second
	// maxAnswer bounds an answer in bytes: the status of a thousand sources has less than two million.
	maxAnswer = 32 << 20
	// maxSaid bounds what an error quotes.
	maxSaid = 4 << 10
)

// What is wrong when a daemon can't be asked.
var (
	ErrNotRunning = errors.New("no daemon runs here")
	ErrPermission = errors.New("no permission to talk to the daemon")
	ErrStrange    = errors.New("what answers is no farshore daemon")
	ErrVersion    = errors.New("the daemon is of another version")
)

// Client asks a daemon at a socket. It may be used concurrently and needs no closing. What the daemon refuses is an *Error; the sentinels above say that it could not be asked.
type Client struct {
	path string
	http http.Client
}

// Dial returns a client for the daemon at the socket. It does not look whether there is one.
func Dial(path string) *Client {
	c := &Client{path: path}
	c.http.Transport = &http.Transport{
		DisableKeepAlives:  true,
		DisableCompression: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{Timeout: dialing}).DialContext(ctx, "unix", path)
		},
		MaxResponseHeaderBytes: maxBody,
	}
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c
}

// Status asks how the daemon stands. It takes ten seconds at the most.
func (c *Client) Status(ctx context.Context) (daemon.Status, error) {
	var out daemon.Status
	err := c.ask(ctx, asking, http.MethodGet, pathStatus, nil, &out)
	return out, err
}

// Trigger asks for a run of a job ("pass NAME", "probe", "verify") now. A pass accepts what the suspicious snapshot of the number accept shows; 0: none. It is daemon.ErrNoJob or daemon.ErrRunning where it is one of these. It takes ten seconds at the most.
func (c *Client) Trigger(ctx context.Context, job string, accept int64) (daemon.Triggered, error) {
	var out daemon.Triggered
	body, err := json.Marshal(asked{Job: job, Accept: accept})
	if err == nil {
		err = c.ask(ctx, asking, http.MethodPost, pathTrigger, body, &out)
	}
	return out, err
}

// Await waits, for as long as ctx lets it, for the end of the first run of a job that began at after or later.
func (c *Client) Await(ctx context.Context, job string, after time.Time) (history.Run, error) {
	var out history.Run
	q := url.Values{"job": {job}, "after": {after.UTC().Format(time.RFC3339Nano)}}
	err := c.ask(ctx, 0, http.MethodGet, pathAwait+"?"+q.Encode(), nil, &out)
	return out, err
}

// Reload asks the daemon to read its configuration anew, and says what is wrong with that. It takes seventy seconds at the most.
func (c *Client) Reload(ctx context.Context) error {
	return c.ask(ctx, reloadTime+asking, http.MethodPost, pathReload, nil, new(struct{}))
}

// ask sends a request and reads the answer into out. most bounds how long that takes; 0: as ctx does.
func (c *Client) ask(ctx context.Context, most time.Duration, method, target string, body []byte, out any) error {
	if most > 0 {
		limited, cancel := context.WithTimeoutCause(ctx, most, fmt.Errorf("the daemon at %s did not answer within %s", c.path, units.Duration(most)))
		defer cancel()
		ctx = limited
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://farshore"+target, bytes.NewReader(body))
	if err != nil {
		return err
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return c.explained(ctx, err)
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	if err != nil {
		return c.explained(ctx, err)
	}
	if err := decode(answer.StatusCode, answer.Header.Get(versionHeader), data, out); err != nil {
		var said *Error
		if errors.As(err, &said) {
			return err
		}
		return fmt.Errorf("%w (%s)", err, c.path)
	}
	return nil
}

// decode reads an answer.
func decode(status int, v string, data []byte, out any) error {
	switch {
	case v == "" || len(data) > maxAnswer:
		return ErrStrange
	case v != version:
		return fmt.Errorf("%w: it speaks version %s over its socket, and this program version %s: use the program that the daemon runs", ErrVersion, units.Printable(brief(v)), version)
	case status == http.StatusOK:
		if err := json.Unmarshal(data, out); err != nil {
			return fmt.Errorf("%w: %s", ErrStrange, units.Shown(brief(err.Error())))
		}
		return nil
	}
	var wrong struct{ Error *Error }
	if err := json.Unmarshal(data, &wrong); err != nil || wrong.Error == nil || wrong.Error.Code == "" || wrong.Error.Message == "" {
		return fmt.Errorf("%w: status %d", ErrStrange, status)
	}
	e := wrong.Error
	return &Error{units.Printable(brief(e.Code)), units.Shown(brief(e.Message)), units.Shown(brief(e.Hint))}
}

func brief(text string) string {
	if len(text) > maxSaid {
		return text[:maxSaid] + "…"
	}
	return text
}

// explained says why the daemon could not be asked.
func (c *Client) explained(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w: nobody answers at %s", ErrNotRunning, c.path)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w at %s: %s", ErrPermission, c.path, who(c.path))
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return fmt.Errorf("the daemon at %s hung up: it was stopped, or it is too busy", c.path)
	}
	var inner *url.Error
	if errors.As(err, &inner) {
		err = inner.Err
	}
	return fmt.Errorf("the daemon at %s could not be asked: %s", c.path, units.Shown(brief(err.Error())))
}

// who says who may write to the socket.
func who(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		path = filepath.Dir(path)
		if info, err = os.Stat(path); err != nil {
			return "ask root"
		}
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "ask root"
	}
	id := strconv.FormatUint(uint64(st.Gid), 10)
	name := "number " + id
	if g, err := user.LookupGroupId(id); err == nil {
		name = units.Printable(g.Name)
	}
	return fmt.Sprintf("root, the daemon's user and members of the group %s may", name)
}
