package rclone

import (
	"bytes"
	"crypto/sha256"
	"io"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"

	"farshore/providers"
	"farshore/providers/servers"
)

func TestAzure(t *testing.T) {
	t.Parallel()
	a := servers.Azurite(t)
	c := a.Container(t, "vault")
	full := "rclone::azureblob,account=" + servers.AzureAccount + ",key='" + a.Key + "',endpoint='" + a.Endpoint + "':vault/full"
	t.Run("key", func(t *testing.T) { conformance(t, full) })

	// What a writer should be given: it may not write, which is to replace, nor delete.
	may := sas.ContainerPermissions{Create: true, Read: true, List: true}
	url, err := c.GetSASURL(may, time.Now().Add(time.Hour), nil)
	if err != nil {
		t.Fatal(err)
	}
	sasSpec := "rclone::azureblob,sas_url='" + url + "':vault/sas"
	t.Run("sas", func(t *testing.T) { conformance(t, sasSpec) })
	t.Run("store refuses", func(t *testing.T) { testAzureRace(t, sasSpec) })
}

// testAzureRace has another writer take the name between the look and the write: this store refuses what rclone does not.
func testAzureRace(t *testing.T, spec string) {
	ctx, d := open(t, spec)
	body := make([]byte, 1<<20)
	first := func() {
		if _, err := create(ctx, d, "commits/a", []byte("theirs")); err != nil && providers.KindOf(err) != providers.Exists {
			t.Error(err)
		}
	}
	_, err := d.Create(ctx, "commits/a", section(slowBody{bytes.NewReader(body), 1 << 19, first}, len(body)), sha256.Sum256(body))
	if providers.KindOf(err) != providers.Exists {
		t.Errorf("create: %v, want kind %q", err, providers.Exists)
	}
	r, err := d.Open(ctx, "commits/a", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || string(got) != "theirs" {
		t.Errorf("stored: %d bytes, %v", len(got), err)
	}
}
