package intruder

import (
	"bytes"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"

	"farshore/providers/rclone"
	"farshore/providers/servers"
)

// azureThief is the blob client of whoever has the agent's SAS.
type azureThief struct {
	t *testing.T
	c *container.Client
}

// onAzurite is a container whose agent has a SAS that may create, read and list.
func onAzurite(t *testing.T) *place {
	t.Helper()
	return azurePlace(t, servers.Azurite(t))
}

// azurePlace makes a container of its own.
func azurePlace(t *testing.T, a servers.Azure) *place {
	t.Helper()
	name := "vault" + strings.ToLower(rand.Text())
	url, err := a.Container(t, name).GetSASURL(sas.ContainerPermissions{Create: true, Read: true, List: true}, time.Now().Add(time.Hour), nil)
	must(t, err)
	d, err := rclone.Open(t.Context(), "rclone::azureblob,sas_url='"+url+"':"+name+"/v", rclone.Options{})
	must(t, err)
	stolen, err := container.NewClientWithNoCredential(url, nil)
	must(t, err)
	b := bucketOf(d)
	return &place{
		name: "azurite", owner: b, agent: b, restorer: b, auditor: b, thief: azureThief{t, stolen},
		overwrites: refused, removals: refused, foreignRoom: lost, // a SAS of a container has no rooms
		again: func(t *testing.T) *place { return azurePlace(t, a) },
	}
}

func (a azureThief) put(name string, body []byte) error {
	_, err := a.c.NewBlockBlobClient("v/"+name).Upload(a.t.Context(), streaming.NopCloser(bytes.NewReader(body)), nil)
	return err
}

func (a azureThief) remove(name string) error {
	_, err := a.c.NewBlockBlobClient("v/"+name).Delete(a.t.Context(), nil)
	return err
}

func (a azureThief) denied(err error) bool {
	return bloberror.HasCode(err, bloberror.AuthorizationPermissionMismatch, bloberror.UnauthorizedBlobOverwrite)
}

func (a azureThief) names() (out []string) {
	a.t.Helper()
	pages := a.c.NewListBlobsFlatPager(nil)
	for pages.More() {
		page, err := pages.NextPage(a.t.Context())
		must(a.t, err)
		for _, b := range page.Segment.BlobItems {
			out = append(out, (*b.Name)[len("v/"):])
		}
	}
	return out
}
