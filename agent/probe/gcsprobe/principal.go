package gcsprobe

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"cloud.google.com/go/auth/credentials"
	"cloud.google.com/go/storage"
)

// Principal is the service account's address, where the credential tells it. A user's credential tells none, so a digest of its long random token stands for it. Where the caller
// brought a client of its own, nothing is known, which is an error.
func (a *Attacker) Principal(ctx context.Context) (string, error) {
	switch {
	case a.foreign:
		return "", errors.New("whom the credential belongs to is not known: it came with the client")
	case a.emulator:
		return "nobody (an emulator gets no credential)", nil
	}
	found, err := credentials.DetectDefault(&credentials.DetectOptions{Scopes: []string{storage.ScopeReadWrite}})
	if err != nil {
		return "", fmt.Errorf("find out whom the credential belongs to: %w", err)
	}
	if text := found.JSON(); len(text) > 0 {
		return principalOf(text)
	}
	return machinePrincipal(ctx)
}

// principalOf reads a credential file.
func principalOf(text []byte) (string, error) {
	var c struct {
		Type          string `json:"type"`
		Email         string `json:"client_email"`
		Client        string `json:"client_id"`
		Refresh       string `json:"refresh_token"`
		Audience      string `json:"audience"`
		Name          string `json:"name"`
		Impersonation string `json:"service_account_impersonation_url"`
	}
	if err := json.Unmarshal(text, &c); err != nil {
		// The decoder's error could repeat what is in the file.
		return "", errors.New("the credential file is not JSON")
	}
	switch {
	case c.Impersonation != "":
		return impersonated(c.Impersonation)
	case c.Email != "":
		return c.Email, nil
	case c.Type == "external_account" && c.Audience != "":
		return fmt.Sprintf("federated identity of %s, configuration %s", c.Audience, digest(string(text))), nil
	case c.Refresh != "":
		return fmt.Sprintf("user of client %s, credential %s", c.Client, digest(c.Refresh)), nil
	case c.Type == "gdch_service_account" && c.Name != "":
		return c.Name, nil
	}
	return "", fmt.Errorf("whom a credential of type %q belongs to is not known", c.Type)
}

// digest stands for something that is long and random, or no secret: 64 bits of a hash.
func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return fmt.Sprintf("%x", sum[:8])
}

// impersonated finds the account in …/serviceAccounts/ACCOUNT:generateAccessToken.
func impersonated(address string) (string, error) {
	_, rest, ok := strings.Cut(address, "/serviceAccounts/")
	account, _, verb := strings.Cut(rest, ":")
	if !ok || !verb || account == "" {
		return "", errors.New("the credential file's service_account_impersonation_url names no service account")
	}
	return account, nil
}

const (
	// metadataHost is where a machine at Google asks about itself, and metadataEnv the variable by which Google's libraries are told another host.
	metadataHost = "metadata.google.internal"
	metadataEnv  = "GCE_METADATA_HOST"
	// metadataTime and metadataMax bound the answer.
	metadataTime = 5 * time.Second
	metadataMax  = 1 << 10
)

// machinePrincipal asks for the machine's own service account.
func machinePrincipal(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, metadataTime)
	defer cancel()
	host := os.Getenv(metadataEnv)
	if host == "" {
		host = metadataHost
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+host+"/computeMetadata/v1/instance/service-accounts/default/email", nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("Metadata-Flavor", "Google")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", fmt.Errorf("ask the machine for its service account: %w", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, metadataMax))
	if err != nil {
		return "", fmt.Errorf("ask the machine for its service account: %w", err)
	}
	email := strings.TrimSpace(string(body))
	if res.StatusCode != http.StatusOK || !strings.Contains(email, "@") {
		return "", fmt.Errorf("ask the machine for its service account: answer %d without an address", res.StatusCode)
	}
	return email, nil
}
