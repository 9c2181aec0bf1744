package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"farshore/agent/units"
)

const (
	// headerTime is how long a request's header may take, requestTime a request as a whole, idleTime how long a connection may do nothing between two.
	headerTime  = 5 * time.Second
	requestTime = 10 * time.Second
	idleTime    = 5 * time.Second
	// answerTime is how long the other end may take for an answer.
	answerTime = 10 * time.Second
	// reloadTime is how long the Backend may take to reload.
	reloadTime = 60 * time.Second
	// closing is how long Close waits for answers that are under way.
	closing = 2 * time.Second
)

// Options of a Server.
type Options struct {
	// Logger says who triggered and reloaded; nil: nobody is told.
	Logger *slog.Logger
}

// Server answers commands. Serve and Close may be called from different goroutines.
type Server struct {
	backend  Backend
	log      *slog.Logger
	http     http.Server
	listener *limited
	// over ends what waits, stop makes it so.
	over   context.Context
	stop   context.CancelFunc
	awaits chan struct{}
}

// NewServer returns a server that will answer at the listener, which it closes. The caller calls Serve, and Close in any case.
func NewServer(l net.Listener, b Backend, o Options) *Server {
	s := &Server{backend: b, log: o.Logger, listener: limit(l), awaits: make(chan struct{}, maxAwaits)}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.over, s.stop = context.WithCancel(context.Background())
	s.http = http.Server{
		Handler: http.HandlerFunc(s.serve), ReadHeaderTimeout: headerTime, ReadTimeout: requestTime, WriteTimeout: requestTime + answerTime, IdleTimeout: idleTime,
		MaxHeaderBytes: maxBody, ConnContext: withPeer, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
	return s
}

// Serve answers until Close, and returns nil then.
func (s *Server) Serve() error {
	if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("control: %w", err)
	}
	return nil
}

// Close stops listening, ends what waits, and gives answers that are under way two seconds.
func (s *Server) Close() error {
	s.stop()
	ctx, cancel := context.WithTimeout(context.Background(), closing)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.http.Close()
	}
	// A server that never served knows nothing of its listener.
	if closed := s.listener.Close(); closed != nil && !errors.Is(closed, net.ErrClosed) {
		err = errors.Join(err, closed)
	}
	return err
}

// route is what is done at a path.
type route struct {
	method string
	do     func(r *http.Request) (any, error)
}

func (s *Server) route(path string) (route, bool) {
	switch path {
	case pathStatus:
		return route{http.MethodGet, s.status}, true
	case pathTrigger:
		return route{http.MethodPost, s.trigger}, true
	case pathAwait:
		return route{http.MethodGet, s.await}, true
	case pathReload:
		return route{http.MethodPost, s.reload}, true
	}
	return route{}, false
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	to, known := s.route(r.URL.Path)
	switch {
	case !known:
		s.fail(w, http.StatusNotFound, &Error{codeUnknown, fmt.Sprintf("this daemon has no %s", units.Printable(r.URL.Path)), "use the farshore program of the daemon's version"})
		return
	case r.Method != to.method:
		w.Header().Set("Allow", to.method)
		s.fail(w, http.StatusMethodNotAllowed, &Error{CodeRequest, fmt.Sprintf("%s takes %s", r.URL.Path, to.method), ""})
		return
	}
	answer, err := to.do(r)
	if err != nil {
		e := asError(err)
		s.fail(w, statusOf(e.Code), e)
		return
	}
	s.answer(w, http.StatusOK, answer)
}

// statusOf is the HTTP status of a code.
func statusOf(code string) int {
	switch code {
	case CodeNoJob:
		return http.StatusNotFound
	case CodeRunning:
		return http.StatusConflict
	case CodeRequest:
		return http.StatusBadRequest
	case CodeConfig:
		return http.StatusUnprocessableEntity
	case CodeBusy, CodeStopping:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

func (s *Server) fail(w http.ResponseWriter, status int, e *Error) {
	s.answer(w, status, struct {
		Error *Error `json:"error"`
	}{e})
}

func (s *Server) answer(w http.ResponseWriter, status int, what any) {
	data, err := json.Marshal(what)
	if err != nil {
		s.log.Error("an answer could not be written", "error", err)
		status, data = http.StatusInternalServerError, []byte(`{"error":{"code":"failed","message":"the answer could not be written: the daemon's log says why"}}`)
	}
	// The time for writing began with the request, and may be over: runs take days.
	if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerTime)); err != nil {
		s.log.Warn("an answer may take as long as it likes", "error", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set(versionHeader, version)
	w.WriteHeader(status)
	_, _ = w.Write(append(data, '\n')) // who hung up is not told
}

func (s *Server) status(*http.Request) (any, error) {
	return s.backend.Status(), nil
}

func (s *Server) trigger(r *http.Request) (any, error) {
	var what asked
	in := json.NewDecoder(r.Body)
	in.DisallowUnknownFields()
	if err := in.Decode(&what); err != nil {
		return nil, &Error{CodeRequest, fmt.Sprintf("the body is not {\"job\": \"…\"}: %v", err), ""}
	}
	if _, err := in.Token(); !errors.Is(err, io.EOF) {
		return nil, &Error{CodeRequest, "the body has more than {\"job\": \"…\"}", ""}
	}
	if err := checkJob(what.Job); err != nil {
		return nil, err
	}
	if what.Accept < 0 {
		return nil, &Error{CodeRequest, "accept is the number of a snapshot", ""}
	}
	t, err := s.backend.Trigger(what.Job, what.Accept)
	about := []slog.Attr{slog.String("job", what.Job)}
	if what.Accept > 0 {
		about = append(about, slog.Int64("accepts_snapshot", what.Accept))
	}
	s.note(r, "a job was triggered over the socket", err, about...)
	return t, err
}

// asked is the body of a trigger.
type asked struct {
	Job    string `json:"job"`
	Accept int64  `json:"accept,omitempty"`
}

func checkJob(job string) error {
	if job == "" || len(job) > maxJob {
		return &Error{CodeRequest, fmt.Sprintf("the name of a job has 1 to %d bytes", maxJob), ""}
	}
	return nil
}

// await waits for as long as whoever asks does.
func (s *Server) await(r *http.Request) (any, error) {
	q := r.URL.Query()
	after, err := time.Parse(time.RFC3339Nano, q.Get("after"))
	if err != nil {
		return nil, &Error{CodeRequest, "after is no time like 2026-01-02T15:04:05Z", ""}
	}
	if err := checkJob(q.Get("job")); err != nil {
		return nil, err
	}
	select {
	case s.awaits <- struct{}{}:
		defer func() { <-s.awaits }()
	default:
		return nil, &Error{CodeBusy, fmt.Sprintf("%d others wait for runs already", maxAwaits), "try again later, or look at `farshore status`"}
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(s.over, cancel)()
	run, err := s.backend.Await(ctx, q.Get("job"), after)
	if err != nil && s.over.Err() != nil {
		return nil, &Error{CodeStopping, "the daemon comes to its end before the run did", ""}
	}
	return run, err
}

func (s *Server) reload(r *http.Request) (any, error) {
	// It goes on when whoever asked hangs up: half of it would be neither the old configuration nor the new one.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), reloadTime)
	defer cancel()
	s.note(r, "a reload was asked for over the socket", nil) // what comes of it is the backend's to say
	return struct{}{}, s.backend.Reload(ctx)
}

// note logs who asked for what, and why it was refused where it was.
func (s *Server) note(r *http.Request, what string, refused error, about ...slog.Attr) {
	if p, _ := r.Context().Value(peerKey{}).(peer); p.known {
		about = append(about, slog.Int64("uid", int64(p.uid)), slog.Int64("pid", int64(p.pid)))
	}
	if refused != nil {
		about = append(about, slog.String("refused", refused.Error()))
	}
	s.log.LogAttrs(r.Context(), slog.LevelInfo, what, about...)
}
