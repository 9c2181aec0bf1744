package notify

import (
	"context"
	"net/url"
	"strings"

	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/discord"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/googlechat"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/matrix"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/mattermost"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/rocketchat"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/slack"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/teams"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/telegram"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/zulip"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/incident/opsgenie"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/incident/pagerduty"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/push/gotify"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/push/ntfy"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/push/pushover"
	"github.com/nicholas-fedor/shoutrrr/pkg/types"
	"github.com/nicholas-fedor/shoutrrr/pkg/util"
)

// maxService bounds a message for a service in bytes: the least that one of them takes is 1,024 characters.
const maxService = 1000

// newService returns the client of a service by the scheme of its address, nil for none. Those that are not here can be reached by a webhook, or are of no use to people
// who are asleep.
func newService(scheme string) types.Service {
	switch scheme {
	case "discord":
		return new(discord.Service)
	case "googlechat":
		return new(googlechat.Service)
	case "gotify":
		return new(gotify.Service)
	case "matrix":
		return new(matrix.Service)
	case "mattermost":
		return new(mattermost.Service)
	case "ntfy":
		return new(ntfy.Service)
	case "opsgenie":
		return new(opsgenie.Service)
	case "pagerduty":
		return new(pagerduty.Service)
	case "pushover":
		return new(pushover.Service)
	case "rocketchat":
		return new(rocketchat.Service)
	case "slack":
		return new(slack.Service)
	case "teams":
		return new(teams.Service)
	case "telegram":
		return new(telegram.Service)
	case "zulip":
		return new(zulip.Service)
	}
	return nil
}

// Service sends through a chat or paging service, by the address that shoutrrr defines for it (https://shoutrrr.nickfedor.com). It may be used concurrently.
type Service struct{ address *url.URL }

// NewService checks the address, without calling the service. The error has nothing of the address in it.
func NewService(address string) (*Service, error) {
	u, err := url.Parse(strings.TrimSpace(address))
	if err != nil || newService(u.Scheme) == nil {
		return nil, errService
	}
	if !loopback(u.Hostname()) && insecure(u.Query()) {
		return nil, errInsecure
	}
	return &Service{u}, nil
}

// insecure reports whether the settings in an address turn off TLS or its checks. What these services call them differs.
func insecure(settings url.Values) bool {
	for key, values := range settings {
		switch strings.ToLower(key) {
		case "disabletls", "disabletlsverification", "insecureskipverify", "skiptlsverify":
			return true
		case "scheme":
			for _, v := range values {
				if !strings.EqualFold(v, "https") {
					return true
				}
			}
		}
	}
	return false
}

// Send hands the message to the service's client. That knows no context: where it does not come back in time it is left behind, and ends with the process.
func (s *Service) Send(ctx context.Context, m *Message) error {
	ctx, cancel := context.WithTimeout(ctx, attemptTime)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- s.send(cut(m.Title+"\n\n"+harmless(m.lines()), maxService)) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fault(ctx.Err())
	}
}

// send runs the client, which is other people's code: neither its panic nor its words get out.
func (s *Service) send(text string) (err error) {
	defer func() {
		if recover() != nil {
			err = &Fault{why: "the service's client failed"}
		}
	}()
	c, address := newService(s.address.Scheme), *s.address
	if err := c.Initialize(&address, util.DiscardLogger); err != nil {
		return refused(err)
	}
	return fault(c.Send(text, nil))
}

// refused says why a client did not take its address. Some log in then, so that it may be the network.
func refused(err error) error {
	if why := fault(err); why != errUnclear {
		return why
	}
	return errRefused
}

// harmless takes out of a text what chats would take for a call of everybody, or for a link with another face.
func harmless(text string) string {
	return strings.NewReplacer("<", "‹", ">", "›", "@everyone", "@ everyone", "@here", "@ here", "@channel", "@ channel", "@all", "@ all").Replace(text)
}
