package rcloneprobe

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"farshore/agent/probe"
)

// azureMode is how a remote of Azure Blob Storage says who it is.
type azureMode int

const (
	azureToken azureMode = iota // an identity of Entra ID, whose roles only Azure knows
	azureKey                    // the account's key
	azureSAS                    // a shared access signature, which says what it may
)

// azureCredential finds what rclone uses of a remote's settings, in the order in which it looks: the environment's identity, the key, the SAS, the connection string, and then the
// other identities. sas is the token's query, or the whole URL.
func (a *Attacker) azureCredential() (mode azureMode, sas string) {
	connection := parseConnection(a.setting("connection_string"))
	switch {
	case a.setting("env_auth") == "true":
		return azureToken, ""
	case a.setting("use_emulator") == "true", a.setting("account") != "" && a.setting("key") != "":
		return azureKey, ""
	case a.setting("sas_url") != "":
		return azureSAS, a.setting("sas_url")
	case connection["AccountKey"] != "":
		return azureKey, ""
	case connection["SharedAccessSignature"] != "":
		return azureSAS, "?" + strings.TrimPrefix(connection["SharedAccessSignature"], "?")
	}
	return azureToken, ""
}

// parseConnection reads "Name=value;Name=value".
func parseConnection(s string) map[string]string {
	fields := map[string]string{}
	for _, f := range strings.Split(s, ";") {
		if name, value, ok := strings.Cut(f, "="); ok {
			fields[strings.TrimSpace(name)] = value
		}
	}
	return fields
}

// letters are the permissions of a SAS that a writer must not have.
var letters = []right{
	{"w", probe.CreateOnly, probe.Destroys}, // write
	{"d", probe.NoDestroy, probe.Destroys},  // delete
	{"x", probe.NoDestroy, probe.Destroys},  // delete a version
	{"y", probe.NoDestroy, probe.Destroys},  // delete for good what soft delete keeps
	{"m", probe.NoDestroy, probe.Destroys},  // move
	{"t", probe.NoDestroy, probe.Loosens},   // tags, which lifecycle rules go by
	{"i", probe.NoShorten, probe.Loosens},   // immutability policies and legal holds
	{"o", probe.NoShorten, probe.Loosens},   // ownership
	{"p", probe.NoShorten, probe.Loosens},   // access lists; of an account SAS, the processing of queues
	{"a", probe.NoDestroy, probe.Excess},    // adding to append blobs, of which a vault has none
}

// harmlessLetters read, list, create, run, find by tags, and update queues.
const harmlessLetters = "rlcefu"

// signature is what the text of a SAS says. Azure computes its signature over it, so that it can do no more than it says.
type signature struct {
	permissions, resource, services, expiry, protocol, policy, delegate string
}

// parseSAS reads a SAS. Nothing of it is repeated in an error: its signature is a secret.
func parseSAS(s string) (signature, error) {
	u, err := url.Parse(s)
	if err != nil {
		return signature{}, errors.New("the SAS can't be read: it is no URL")
	}
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil || q.Get("sig") == "" {
		return signature{}, errors.New("the SAS can't be read: it has no signature")
	}
	for _, key := range []string{"sp", "si", "ss", "sig"} {
		if len(q[key]) > 1 {
			return signature{}, fmt.Errorf("the SAS can't be read: it has several %s", key)
		}
	}
	return signature{permissions: q.Get("sp"), resource: q.Get("sr"), services: q.Get("ss"), expiry: q.Get("se"), protocol: q.Get("spr"), policy: q.Get("si"), delegate: q.Get("skoid")}, nil
}

// String describes the token without its secret, and without its dates, so that a renewed one is the same.
func (s signature) String() string {
	text := "sp=" + s.permissions
	for _, f := range []struct{ name, value string }{{"sr", s.resource}, {"ss", s.services}, {"si", s.policy}, {"skoid", s.delegate}} {
		if f.value != "" {
			text += " " + f.name + "=" + f.value
		}
	}
	return text
}

// azureProbes say what the credential can do by its nature.
func (a *Attacker) azureProbes() []probe.BucketProbe {
	mode, sas := a.azureCredential()
	switch mode {
	case azureKey:
		return []probe.BucketProbe{always(probe.Kind{Probe: "account key", Property: probe.NoShorten, Harm: probe.Loosens, Grant: "the account key"},
			probe.Result{Answer: probe.Permitted, Code: "account key", Text: "the account's key may do everything in the account: give the agent a SAS that may create, read and list, and set allowSharedKeyAccess=false"})}
	case azureToken:
		return []probe.BucketProbe{always(probe.Kind{Probe: "role", Property: probe.NoShorten, Harm: probe.Loosens, Grant: "role actions beyond blobs/add/action and blobs/read"},
			probe.Result{Answer: probe.Unknown, Code: "identity", Text: "the roles of an identity can't be read with it, and tags, versions and immutability policies were not tried: a SAS says what it may"})}
	}
	s, err := parseSAS(sas)
	if err != nil {
		return []probe.BucketProbe{always(probe.Kind{Probe: "SAS", Property: probe.NoDestroy, Harm: probe.Destroys, Grant: "the SAS"}, refused(err))}
	}
	return s.probes()
}

func always(k probe.Kind, r probe.Result) probe.BucketProbe {
	return probe.BucketProbe{Kind: k, Try: func(context.Context) probe.Result { return r }}
}

// probes has one for each letter, and one for letters that are not known.
func (s signature) probes() []probe.BucketProbe {
	var probes []probe.BucketProbe
	strange := s.permissions
	for _, l := range letters {
		probes = append(probes, always(probe.Kind{Probe: "SAS permission " + l.name, Property: l.property, Harm: l.harm, Grant: "SAS permission " + l.name}, s.letter(l.name)))
		strange = strings.ReplaceAll(strange, l.name, "")
	}
	for _, l := range harmlessLetters {
		strange = strings.ReplaceAll(strange, string(l), "")
	}
	rest := probe.Result{Answer: probe.Denied, Code: "SAS sp=" + s.permissions, Text: "the token says what it may, and there is nothing in it that is not known"}
	switch {
	case s.policy != "":
		rest = s.letter("")
	case strange != "":
		rest.Answer, rest.Text = probe.Unknown, fmt.Sprintf("the token has the permissions %q, and what they may destroy is not known", strange)
	}
	return append(probes, always(probe.Kind{Probe: "SAS permissions, others", Property: probe.NoDestroy, Harm: probe.Loosens, Grant: "the SAS's other permissions"}, rest))
}

// letter says whether the token has the permission.
func (s signature) letter(name string) probe.Result {
	r := probe.Result{Answer: probe.Denied, Code: "SAS sp=" + s.permissions, Text: "the token says what it may, and this is not among it"}
	switch {
	case s.policy != "":
		r = probe.Result{Answer: probe.Unknown, Code: "SAS si=" + s.policy, Text: "what this token may is said by a policy stored at the container, which can be changed there and is not read here"}
	case name == "p" && s.services != "" && strings.Contains(s.permissions, name):
		r.Text = "of an account's SAS this is the processing of messages in queues"
	case strings.Contains(s.permissions, name):
		r.Answer, r.Text = probe.Permitted, "the token says that it may"
	}
	return r
}

// azureNotes say what the token's text does not forbid, and what only Azure knows.
func (a *Attacker) azureNotes() []string {
	notes := []string{"the container's immutability policy and the account's lifecycle rules were not read: they need rights that this credential should not have"}
	mode, sas := a.azureCredential()
	if mode != azureSAS {
		return notes
	}
	s, err := parseSAS(sas)
	if err != nil {
		return notes
	}
	if s.expiry != "" {
		notes = append(notes, "the SAS ends at "+line(s.expiry)+": until then only a new account key, or a revoked delegation key or policy, ends it")
	}
	if s.protocol != "https" {
		notes = append(notes, "the SAS is valid over plain HTTP too: make it with spr=https")
	}
	if s.services != "" {
		notes = append(notes, "the SAS is one of the whole account: make one of the container")
	}
	return notes
}
