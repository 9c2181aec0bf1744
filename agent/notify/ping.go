package notify

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
)

// maxPing bounds the body of a ping in bytes: such services keep 10 to 100 kB of it.
const maxPing = 2048

// ping calls a dead man's switch: its address at success, /start below it at the beginning, /fail at anything else. Without a call in time the service raises the alarm,
// which is what tells of an agent that is gone.
type ping struct{ poster *Poster }

func newPing(address string) (*ping, error) {
	p, err := NewWebhook(address, "")
	if err != nil {
		return nil, err
	}
	return &ping{p}, nil
}

// begin and end are one attempt each.
func (p *ping) begin(ctx context.Context) error {
	return p.poster.post(ctx, below(p.poster.address, "start"), http.Header{}, nil)
}

// end says what came of it. A warning is a failure: the switch knows only two.
func (p *ping) end(ctx context.Context, e *Event) error {
	to := p.poster.address
	if e.Outcome != Success {
		to = below(to, "fail")
	}
	m := e.message(false, false)
	body := cut(fmt.Sprintf("exit code %d\n%s\n%s", m.Exit, m.Title, m.lines()), maxPing)
	return p.poster.post(ctx, to, http.Header{"Content-Type": {"text/plain; charset=utf-8"}}, []byte(body))
}

// below is an address with one more step in its path.
func below(u *url.URL, step string) *url.URL { return u.JoinPath(step) }
