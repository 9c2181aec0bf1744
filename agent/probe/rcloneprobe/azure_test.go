package rcloneprobe

import (
	"context"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"
	"github.com/rclone/rclone/fs/config/configmap"

	"farshore/agent/probe"
	"farshore/agent/probe/probetest"
	"farshore/providers/servers"
)

// TestAzure has the account's key try, and then SAS: what a writer should have, and that with one permission more at a time.
func TestAzure(t *testing.T) {
	t.Parallel()
	a := servers.Azurite(t)
	c := a.Container(t, "vault")
	full := "rclone::azureblob,account=" + servers.AzureAccount + ",key='" + a.Key + "',endpoint='" + a.Endpoint + "':vault/a"
	t.Run("key", func(t *testing.T) { testAzureKey(t, c, full) })
	for _, extra := range []string{"", "w", "d", "x", "t", "i"} {
		t.Run("sas "+extra, func(t *testing.T) {
			may := sas.ContainerPermissions{Create: true, Read: true, List: true, Write: extra == "w", Delete: extra == "d", DeletePreviousVersion: extra == "x", Tag: extra == "t",
				SetImmutabilityPolicy: extra == "i"}
			url, err := c.GetSASURL(may, time.Now().Add(time.Hour), nil)
			if err != nil {
				t.Fatal(err)
			}
			testAzureSAS(t, c, "rclone::azureblob,sas_url='"+url+"':vault/a", extra)
		})
	}
}

func testAzureKey(t *testing.T, c *container.Client, spec string) {
	ctx, a := open(t, spec)
	populate(ctx, t, a)
	before := blobs(ctx, t, c)
	attempts := probetest.Drive(ctx, t, a, probetest.Rooms()...)
	probetest.Answers(t, attempts, all("set-attributes", "overwrite", "copy-onto", "remove", "account key"))
	probetest.Same(t, before, blobs(ctx, t, c))
	if r := verdict(ctx, t, a); r.Verdict != probe.Unprotected || !slices.Contains(r.Grants, "the account key") {
		t.Errorf("%s, to take away %q: %s", r.Verdict, r.Grants, r.Words)
	}
	if who, err := a.Principal(ctx); err != nil || who != "key of account "+servers.AzureAccount {
		t.Errorf("principal %q, %v", who, err)
	}
	probetest.Refuses(ctx, t, a)
}

func testAzureSAS(t *testing.T, c *container.Client, spec, extra string) {
	ctx, a := open(t, spec)
	before := blobs(ctx, t, c)
	attempts := probetest.Drive(ctx, t, a, probetest.Rooms()...)
	probetest.Same(t, before, blobs(ctx, t, c))
	want := map[string]probe.Answer{"create": probe.Permitted, "SAS permissions, others": probe.Denied}
	for _, p := range []string{"set-attributes", "overwrite", "copy-onto", "remove"} {
		want[p] = probe.Denied
	}
	for _, l := range letters {
		want["SAS permission "+l.name] = probe.Denied
	}
	if extra != "" {
		want["SAS permission "+extra] = probe.Permitted
	}
	switch extra {
	case "w":
		want["set-attributes"], want["overwrite"], want["copy-onto"] = probe.Permitted, probe.Permitted, probe.Permitted
	case "d":
		want["remove"] = probe.Permitted
	}
	probetest.Answers(t, attempts, want)
	if extra != "" && !slices.Contains(probetest.Grants(attempts), "SAS permission "+extra) {
		t.Errorf("%q is not named in %q", extra, probetest.Grants(attempts))
	}
	r, right := verdict(ctx, t, a), probe.Protected
	if extra != "" {
		right = probe.Unprotected
	}
	if r.Verdict != right || extra != "" && !slices.Contains(r.Grants, "SAS permission "+extra) {
		t.Errorf("%s, to take away %q: %s", r.Verdict, r.Grants, r.Words)
	}
	if who, err := a.Principal(ctx); err != nil || !strings.Contains(who, "sp=") || strings.Contains(who, "sig") {
		t.Errorf("principal %q, %v", who, err)
	}
}

// blobs are all blobs of the container: those of the vault by their names there.
func blobs(ctx context.Context, t *testing.T, c *container.Client) map[string][]byte {
	t.Helper()
	found := map[string][]byte{}
	pager := c.NewListBlobsFlatPager(nil)
	for pager.More() {
		page, err := pager.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range page.Segment.BlobItems {
			r, err := c.NewBlobClient(*b.Name).DownloadStream(ctx, nil)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(r.Body)
			r.Body.Close()
			if err != nil {
				t.Fatal(err)
			}
			found[strings.TrimPrefix(*b.Name, "a/")] = body
		}
	}
	return found
}

// TestSAS reads tokens offline.
func TestSAS(t *testing.T) {
	tests := []struct {
		name, settings string
		grants         []string
		unknown        []string
		principal      string
		note           string
	}{
		{name: "writer", settings: "sas_url=https://a.blob.core.windows.net/vault?sp=rcl&sr=c&spr=https&se=2026-12-01&sig=secret", principal: "SAS of a.blob.core.windows.net/vault, sp=rcl sr=c", note: "ends at 2026-12-01"},
		{name: "everything", settings: "sas_url=https://a/vault?sp=racwdxytlmeopi&sr=c&sig=secret", principal: "SAS of a/vault",
			grants: []string{"SAS permission a", "SAS permission d", "SAS permission i", "SAS permission m", "SAS permission o", "SAS permission p", "SAS permission t", "SAS permission w", "SAS permission x", "SAS permission y"}, note: "plain HTTP"},
		{name: "account", settings: "sas_url=https://a/?sp=rwdlacup&ss=bq&srt=sco&spr=https&sig=secret", principal: "SAS of a/", grants: []string{"SAS permission a", "SAS permission d", "SAS permission w"}, note: "whole account"},
		{name: "new letter", settings: "sas_url=https://a/vault?sp=rclz&sr=c&sig=secret", principal: "SAS of a/vault", unknown: []string{"SAS permissions, others"}},
		{name: "stored policy", settings: "sas_url=https://a/vault?si=writers&sr=c&sig=secret", principal: "SAS of a/vault, sp= sr=c si=writers", unknown: []string{"SAS permission d", "SAS permission w", "SAS permissions, others"}},
		{name: "no signature", settings: "sas_url=https://a/vault?sp=rcl", unknown: []string{"SAS"}},
		{name: "two permissions", settings: "sas_url=https://a/vault?sp=rcl&sp=d&sig=secret", unknown: []string{"SAS"}},
		{name: "connection string, SAS", settings: "connection_string=BlobEndpoint=https://a;AccountName=acc;SharedAccessSignature=sp=rcld&sr=c&sig=secret", principal: "SAS of acc", grants: []string{"SAS permission d"}},
		{name: "connection string, key", settings: "connection_string=AccountName=acc;AccountKey=secret==", principal: "key of account acc", grants: []string{"the account key"}},
		{name: "key before SAS", settings: "account=acc;key=secret;sas_url=https://a/vault?sp=rcl&sig=secret", principal: "key of account acc", grants: []string{"the account key"}},
		{name: "identity", settings: "account=acc;client_id=id;tenant=t;client_secret=secret", principal: "identity id", unknown: []string{"role"}},
		{name: "environment", settings: "account=acc;key=secret;env_auth=true", unknown: []string{"role"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			set := configmap.Simple{}
			if value, ok := strings.CutPrefix(test.settings, "connection_string="); ok {
				set["connection_string"] = value
			} else {
				for key, value := range parseConnection(test.settings) {
					set[key] = value
				}
			}
			a := &Attacker{kind: "azureblob", config: set}
			var granted, unknown []string
			for _, p := range a.Bucket() {
				switch r := p.Try(t.Context()); r.Answer {
				case probe.Permitted:
					granted = append(granted, p.Grant)
				case probe.Unknown:
					unknown = append(unknown, p.Probe)
				case probe.Denied:
				default:
					t.Errorf("%s: %+v", p.Probe, r)
				}
			}
			slices.Sort(granted)
			if !slices.Equal(granted, test.grants) {
				t.Errorf("granted %q, want %q", granted, test.grants)
			}
			for _, name := range test.unknown {
				if !slices.Contains(unknown, name) {
					t.Errorf("%s is not unknown: %q", name, unknown)
				}
			}
			if len(test.unknown) == 0 && len(unknown) > 0 {
				t.Errorf("unknown: %q", unknown)
			}
			who, err := a.Principal(t.Context())
			if (err == nil) != (test.principal != "") || !strings.HasPrefix(who, test.principal) {
				t.Errorf("principal %q, %v", who, err)
			}
			told := who + strings.Join(a.Notes(), "\n")
			if err != nil {
				told += err.Error()
			}
			if strings.Contains(told, "secret") || !strings.Contains(told, test.note) {
				t.Errorf("told %q, want %q and no secret", told, test.note)
			}
		})
	}
}
