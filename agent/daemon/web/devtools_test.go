package web_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"farshore/providers/servers"
)

// browser is a Chromium without a window, driven over its debugging pipe: messages of JSON, each ended by a zero byte.
type browser struct {
	in   io.WriteCloser
	mu   sync.Mutex
	last int
	// calls wait for their answers, tabs for their events. gone is closed when the browser has ended.
	calls map[int]chan message
	tabs  map[string]*tab
	gone  chan struct{}
}

type message struct {
	ID      int             `json:"id,omitempty"`
	Session string          `json:"sessionId,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  json.RawMessage `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
}

// chromium starts a browser, or ends the test where there is none; it ends with the test.
func chromium(t *testing.T) *browser {
	t.Helper()
	program := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			program = path
			break
		}
	}
	if program == "" || os.Getenv("FARSHORE_TEST_BROWSER") == "none" {
		if os.Getenv("FARSHORE_TEST_BROWSER") == "none" {
			t.Skip("no browser is started: FARSHORE_TEST_BROWSER=none")
		}
		servers.Missing(t, "chromium", "apt-get install chromium")
	}
	dir, err := os.MkdirTemp("", "web-browser-")
	if err != nil {
		t.Fatal(err)
	}
	toBrowser, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	out, fromBrowser, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, program, "--headless=new", "--no-sandbox", "--remote-debugging-pipe", "--disable-gpu", "--disable-extensions", "--disable-background-networking", "--no-first-run",
		"--hide-scrollbars", "--user-data-dir="+dir, "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "about:blank")
	cmd.ExtraFiles = []*os.File{toBrowser, fromBrowser} // 3 and 4, as the browser expects them
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Start(); err != nil {
		stop()
		t.Fatal(err)
	}
	_, _ = toBrowser.Close(), fromBrowser.Close()
	b := &browser{in: in, calls: map[int]chan message{}, tabs: map[string]*tab{}, gone: make(chan struct{})}
	go b.read(out)
	t.Cleanup(func() {
		stop()
		_ = cmd.Wait()
		_ = in.Close()
		_ = out.Close()
		<-b.gone
		_ = os.RemoveAll(dir) // processes of the browser that end late may still write there
	})
	return b
}

// read hands answers to those who wait, until the pipe ends.
func (b *browser) read(out io.Reader) {
	defer close(b.gone)
	r := bufio.NewReaderSize(out, 1<<20)
	for {
		data, err := r.ReadBytes(0)
		if err != nil {
			return
		}
		var m message
		if json.Unmarshal(data[:len(data)-1], &m) != nil {
			continue
		}
		b.mu.Lock()
		wait, tab := b.calls[m.ID], b.tabs[m.Session]
		delete(b.calls, m.ID)
		b.mu.Unlock()
		switch {
		case m.ID != 0 && wait != nil:
			wait <- m
		case tab != nil:
			tab.note(m)
		}
	}
}

// patience is how long one answer of the browser may take.
const patience = 90 * time.Second

// call asks the browser for something, and decodes the answer into result where that is not nil.
func (b *browser) call(session, method string, params, result any) error {
	raw, err := json.Marshal(params)
	if err != nil {
		return err
	}
	wait := make(chan message, 1)
	b.mu.Lock()
	b.last++
	id := b.last
	b.calls[id] = wait
	data, err := json.Marshal(message{ID: id, Session: session, Method: method, Params: raw})
	if err == nil {
		_, err = b.in.Write(append(data, 0))
	}
	b.mu.Unlock()
	if err != nil {
		return err
	}
	select {
	case m := <-wait:
		if m.Error != nil {
			return fmt.Errorf("%s: %s", method, m.Error.Message)
		}
		if result != nil {
			return json.Unmarshal(m.Result, result)
		}
		return nil
	case <-b.gone:
		return errors.New(method + ": the browser has ended")
	case <-time.After(patience):
		return errors.New(method + ": the browser does not answer")
	}
}

// tab is a page in the browser, and what it said and asked for.
type tab struct {
	t       *testing.T
	b       *browser
	session string
	loaded  chan struct{}

	mu    sync.Mutex
	said  []string
	asked []string
}

// tab opens a page, which is closed at the test's end.
func (b *browser) tab(t *testing.T) *tab {
	t.Helper()
	var target struct {
		TargetID string `json:"targetId"`
	}
	p := &tab{t: t, b: b, loaded: make(chan struct{}, 16)}
	p.must(b.call("", "Target.createTarget", map[string]any{"url": "about:blank"}, &target))
	var attached struct {
		SessionID string `json:"sessionId"`
	}
	p.must(b.call("", "Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached))
	p.session = attached.SessionID
	b.mu.Lock()
	b.tabs[p.session] = p
	b.mu.Unlock()
	t.Cleanup(func() { _ = b.call("", "Target.closeTarget", map[string]any{"targetId": target.TargetID}, nil) })
	for _, domain := range []string{"Page", "Runtime", "Log", "Network", "Audits"} {
		p.do(domain+".enable", map[string]any{}, nil)
	}
	p.window(1280, "light")
	return p
}

// window gives the page a width and a theme.
func (p *tab) window(width int, theme string) {
	p.t.Helper()
	p.do("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false}, nil)
	p.do("Emulation.setEmulatedMedia", map[string]any{"features": []any{map[string]any{"name": "prefers-color-scheme", "value": theme}}}, nil)
}

func (p *tab) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *tab) do(method string, params, result any) {
	p.t.Helper()
	p.must(p.b.call(p.session, method, params, result))
}

// note keeps what the page complains of, and what it asks for.
func (p *tab) note(m message) {
	var e struct {
		Type    string `json:"type"`
		Request struct {
			URL string `json:"url"`
		} `json:"request"`
		Entry struct {
			Level, Text, URL string
		} `json:"entry"`
		Issue struct {
			Code string `json:"code"`
		} `json:"issue"`
	}
	_ = json.Unmarshal(m.Params, &e)
	p.mu.Lock()
	defer p.mu.Unlock()
	switch m.Method {
	case "Page.loadEventFired":
		select {
		case p.loaded <- struct{}{}:
		default:
		}
	case "Network.requestWillBeSent":
		p.asked = append(p.asked, e.Request.URL)
	case "Log.entryAdded":
		p.said = append(p.said, e.Entry.Level+": "+e.Entry.Text+" "+e.Entry.URL)
	case "Runtime.exceptionThrown", "Runtime.consoleAPICalled":
		p.said = append(p.said, m.Method+": "+string(m.Params))
	case "Audits.issueAdded":
		p.said = append(p.said, "issue: "+string(m.Params))
	}
}

// complaints returns what the page complained of so far, and forgets it.
func (p *tab) complaints() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := p.said
	p.said = nil
	return out
}

// requests returns what the page asked for so far.
func (p *tab) requests() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.asked...)
}

// open loads an address, and waits until it is there.
func (p *tab) open(url string) {
	p.t.Helper()
	for len(p.loaded) > 0 {
		<-p.loaded
	}
	var result struct {
		ErrorText string `json:"errorText"`
	}
	p.do("Page.navigate", map[string]any{"url": url}, &result)
	if result.ErrorText != "" {
		p.t.Fatalf("%s: %s", url, result.ErrorText)
	}
	select {
	case <-p.loaded:
	case <-time.After(patience):
		p.t.Fatalf("%s does not load", url)
	}
}

// eval runs an expression in the page, waits for what it promises, and decodes it into result where that is not nil.
func (p *tab) eval(expression string, result any) {
	p.t.Helper()
	var out struct {
		Result struct {
			Value json.RawMessage `json:"value"`
		} `json:"result"`
		ExceptionDetails json.RawMessage `json:"exceptionDetails"`
	}
	p.do("Runtime.evaluate", map[string]any{"expression": expression, "awaitPromise": true, "returnByValue": true}, &out)
	if out.ExceptionDetails != nil {
		p.t.Fatalf("%.60s: %.1000s", expression, out.ExceptionDetails)
	}
	if result != nil {
		if err := json.Unmarshal(out.Result.Value, result); err != nil {
			p.t.Fatalf("%.60s: %v in %.300s", expression, err, out.Result.Value)
		}
	}
}

// maxShot is how much of a page is on one picture, in pixels.
const maxShot = 1400

// shots are pictures of the page, from its top to its end.
func (p *tab) shots() [][]byte {
	p.t.Helper()
	var size struct{ W, H float64 }
	p.eval(`({w: document.documentElement.clientWidth, h: document.documentElement.scrollHeight})`, &size)
	var list [][]byte
	for y := 0.0; y < size.H && len(list) < 8; y += maxShot {
		var out struct {
			Data string `json:"data"`
		}
		clip := map[string]any{"x": 0, "y": y, "width": size.W, "height": min(maxShot, size.H-y), "scale": 1}
		p.do("Page.captureScreenshot", map[string]any{"format": "png", "captureBeyondViewport": true, "clip": clip}, &out)
		data, err := base64.StdEncoding.DecodeString(out.Data)
		p.must(err)
		list = append(list, data)
	}
	return list
}
