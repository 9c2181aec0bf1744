package servers

import (
	"bufio"
	"crypto/rand"
	"encoding/base64"
	"io"
	"os"
	"os/exec"
	"regexp"
	"sync"
	"syscall"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
)

// AzuriteEnv names the environment variable with the path of the azurite-blob program, where it is not on PATH.
const AzuriteEnv = "FARSHORE_TEST_AZURITE"

// AzureAccount is the emulator's only account.
const AzureAccount = "farshoretest"

// Azure is a running emulator of Azure Blob Storage, and the key of its account.
type Azure struct{ Endpoint, Key string }

// Azurite starts the emulator in memory. Where there is none, the test is skipped (see Missing).
func Azurite(tb testing.TB) Azure {
	tb.Helper()
	program := os.Getenv(AzuriteEnv)
	if program == "" {
		program = "azurite-blob"
	}
	path, err := exec.LookPath(program)
	if err != nil {
		Missing(tb, "azurite-blob", "npm install azurite, and put node_modules/.bin on PATH or name the program in "+AzuriteEnv)
	}
	a := Azure{Key: base64.StdEncoding.EncodeToString([]byte(rand.Text() + rand.Text()))}
	cmd := exec.CommandContext(tb.Context(), path, "--blobHost", "127.0.0.1", "--blobPort", "0", "--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry")
	cmd.Env = append(os.Environ(), "AZURITE_ACCOUNTS="+AzureAccount+":"+a.Key)
	cmd.Dir = tb.TempDir()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	var drain sync.WaitGroup
	tb.Cleanup(func() {
		_ = cmd.Cancel() // it may have ended
		drain.Wait()
		_ = cmd.Wait() // how a killed server ends says nothing
	})
	listening := regexp.MustCompile(`listen\w* (?:at|on) (http://127\.0\.0\.1:[1-9]\d*)`)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if m := listening.FindStringSubmatch(lines.Text()); m != nil {
			a.Endpoint = m[1] + "/" + AzureAccount
			drain.Go(func() { _, _ = io.Copy(io.Discard, out) }) // until the server ends
			return a
		}
		tb.Log(lines.Text())
	}
	tb.Fatal("azurite-blob ended before it listened")
	return a
}

// Container creates a container, and returns a client that holds the account's key.
func (a Azure) Container(tb testing.TB, name string) *container.Client {
	tb.Helper()
	key, err := container.NewSharedKeyCredential(AzureAccount, a.Key)
	if err != nil {
		tb.Fatal(err)
	}
	c, err := container.NewClientWithSharedKeyCredential(a.Endpoint+"/"+name, key, nil)
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := c.Create(tb.Context(), nil); err != nil {
		tb.Fatal(err)
	}
	return c
}
