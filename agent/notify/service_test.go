package notify

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"farshore/providers/servers"
)

// TestServices holds which addresses of services are taken, and that an error says nothing of one.
func TestServices(t *testing.T) {
	for address, ok := range map[string]bool{
		"slack://hook:" + token + "@webhook": true, "ntfy://ntfy.example.net/" + token: true, "gotify://gotify.example.net/" + token: true,
		"ntfy://127.0.0.1:80/" + token + "?disabletls=yes":  true,
		"ntfy://ntfy.example.net/" + token + "?scheme=http": false, "ntfy://ntfy.example.net/" + token + "?Scheme=https": true,
		"gotify://gotify.example.net/" + token + "?DisableTLS=yes": false, "gotify://gotify.example.net/" + token + "?insecureskipverify=1": false,
		"generic://hooks.example.net/" + token: false, "logger://": false, "smtp://u:" + token + "@mail.example.net/": false, "https://" + token: false, token: false, "": false, "%zz" + token: false,
	} {
		_, err := NewService(address)
		if (err == nil) != ok {
			t.Errorf("%q: %v", address, err)
		}
		discreet(t, fmt.Sprint(err))
	}
}

// TestService holds that a message arrives by a service's own client, and that no error of it shows the address.
func TestService(t *testing.T) {
	var body string
	code := 200
	s := servers.HTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		body = string(b)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_, _ = io.WriteString(w, `{"code":`+fmt.Sprint(code)+`,"error":"no `+token+`"}`)
	}))
	u, _ := url.Parse(s.URL)
	service, err := NewService("ntfy://user:" + token + "@" + u.Host + "/" + token + "?scheme=http")
	if err != nil {
		t.Fatal(err)
	}
	m := base.message(true, false)
	m.Detail = "<!channel> @everyone"
	if err := service.Send(t.Context(), m); err != nil || !strings.Contains(body, "FAILED") || strings.Contains(body, "@everyone") || strings.Contains(body, "<!") {
		t.Errorf("%v: %s", err, body)
	}
	code = 403
	err = service.Send(t.Context(), m)
	if err == nil {
		t.Error("a refusal was taken for success")
	}
	discreet(t, fmt.Sprint(err))
	s.Close()
	err = service.Send(t.Context(), m)
	if err == nil {
		t.Error("a server that is gone was taken for success")
	}
	discreet(t, fmt.Sprint(err))
	t.Log(err)
	for _, bad := range []string{"slack://" + token, "telegram://" + token, "pagerduty://" + token, "matrix://u:" + token + "@127.0.0.1:1/?disabletls=yes", "discord://" + token, "teams://" + token} {
		service, err := NewService(bad)
		if err != nil {
			t.Fatal(err)
		}
		err = service.Send(t.Context(), m)
		if err == nil {
			t.Errorf("%s was taken", bad)
		}
		discreet(t, fmt.Sprint(err))
	}
}
