package rcloneprobe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	b2 "github.com/rclone/rclone/backend/b2/api"

	"farshore/agent/probe"
)

const (
	b2Endpoint = "https://api.backblazeb2.com"
	// authorizeTime and authorizeMax bound B2's answer to an authorization, which is about 1 KiB.
	authorizeTime = 20 * time.Second
	authorizeMax  = 1 << 20
)

// b2Client is for requests with the key, which no redirect takes to another host.
func b2Client() *http.Client {
	return &http.Client{Timeout: authorizeTime, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// right is something that a credential can hold by name, and what it would be good for.
type right struct {
	name     string
	property probe.Property
	harm     probe.Harm
}

// capabilities are those of B2's that a writer must not have.
var capabilities = []right{
	{"deleteFiles", probe.NoDestroy, probe.Destroys},
	{"deleteBuckets", probe.NoDestroy, probe.Destroys},
	{"writeKeys", probe.NoDestroy, probe.Destroys},            // it makes a key with every capability
	{"writeBuckets", probe.NoShorten, probe.Loosens},          // it sets lifecycle rules, which remove what is hidden
	{"writeBucketRetentions", probe.NoShorten, probe.Loosens}, // it sets what new files get
	{"writeFileRetentions", probe.NoShorten, probe.Loosens},
	{"writeFileLegalHolds", probe.NoShorten, probe.Loosens},
	{"bypassGovernance", probe.NoShorten, probe.Loosens},
}

// capabilityProbes ask B2 for what the key may do. Its answer is what B2 itself goes by.
func (a *Attacker) capabilityProbes() []probe.BucketProbe {
	var probes []probe.BucketProbe
	for _, c := range capabilities {
		probes = append(probes, probe.BucketProbe{
			Kind: probe.Kind{Probe: "capability " + c.name, Property: c.property, Harm: c.harm, Grant: c.name},
			Try: func(ctx context.Context) probe.Result {
				return a.capability(ctx, func(held []string) (probe.Answer, string) {
					if slices.Contains(held, c.name) {
						return probe.Permitted, "B2 says that the key has " + c.name
					}
					return probe.Denied, "B2 lists what the key may do, and " + c.name + " is not among it"
				})
			},
		})
	}
	return append(probes, probe.BucketProbe{
		Kind: probe.Kind{Probe: "other capabilities", Property: probe.NoDestroy, Harm: probe.Loosens, Grant: "capabilities that a writer does not need"},
		Try:  func(ctx context.Context) probe.Result { return a.capability(ctx, others) },
	})
}

// others looks for capabilities that are neither known to do harm, nor read, nor the one that a writer needs.
func others(held []string) (probe.Answer, string) {
	var strange []string
	for _, name := range held {
		known := slices.ContainsFunc(capabilities, func(c right) bool { return c.name == name })
		reads := strings.HasPrefix(name, "list") || strings.HasPrefix(name, "read") || strings.HasPrefix(name, "share")
		if !known && !reads && name != "writeFiles" {
			strange = append(strange, name)
		}
	}
	if len(strange) > 0 {
		return probe.Unknown, "the key has what a writer does not need, and what it may destroy is not known: " + line(strings.Join(strange, ", "))
	}
	return probe.Denied, "B2 lists what the key may do, and beyond what was asked about it only lists, reads and writes files"
}

// capability asks B2 and has judge look at the answer.
func (a *Attacker) capability(ctx context.Context, judge func(held []string) (probe.Answer, string)) probe.Result {
	held, err := a.authorize(ctx)
	if err != nil {
		r := answer(err)
		// A refusal here is one of the key itself.
		r.Answer, r.Text = probe.Unknown, "B2 does not say what the key may do: "+r.Text
		return r
	}
	r := probe.Result{Code: "HTTP 200"}
	r.Answer, r.Text = judge(held)
	return r
}

// authorize returns the key's capabilities. The request changes nothing.
func (a *Attacker) authorize(ctx context.Context) ([]string, error) {
	endpoint := strings.TrimRight(a.setting("endpoint"), "/")
	if endpoint == "" {
		endpoint = b2Endpoint
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint+"/b2api/v4/b2_authorize_account", nil)
	if err != nil {
		return nil, err
	}
	req.SetBasicAuth(a.setting("account"), a.setting("key"))
	res, err := a.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, authorizeMax))
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		said := &b2.Error{}
		if err := json.Unmarshal(body, said); err != nil || said.Code == "" {
			said.Code, said.Message = "unknown", http.StatusText(res.StatusCode)
		}
		said.Status = res.StatusCode
		return nil, said
	}
	var account b2.AuthorizeAccountResponse
	if err := json.Unmarshal(body, &account); err != nil {
		return nil, fmt.Errorf("b2_authorize_account: the answer can't be read: %w", err)
	}
	if len(account.APIs.Storage.Allowed.Capabilities) == 0 {
		return nil, errors.New("b2_authorize_account: the answer lists no capabilities")
	}
	return account.APIs.Storage.Allowed.Capabilities, nil
}
