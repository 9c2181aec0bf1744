package gcsprobe

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/api/option"

	"farshore/providers/gcs"
)

const user = `{"type":"authorized_user","client_id":"client","client_secret":"secret","refresh_token":"token-token-token"}`

func TestPrincipalOf(t *testing.T) {
	tests := []struct {
		name, file, want, fails string
	}{
		{name: "service account", file: `{"type":"service_account","client_email":"agent@p.iam.gserviceaccount.com","private_key":"secret","private_key_id":"1"}`, want: "agent@p.iam.gserviceaccount.com"},
		{name: "user", file: user, want: "user of client client, credential "},
		{name: "impersonated", file: `{"type":"impersonated_service_account","service_account_impersonation_url":"https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/agent@p.iam.gserviceaccount.com:generateAccessToken","source_credentials":` + user + `}`, want: "agent@p.iam.gserviceaccount.com"},
		{name: "federated", file: `{"type":"external_account","audience":"//iam.googleapis.com/pool/provider"}`, want: "federated identity of //iam.googleapis.com/pool/provider, configuration "},
		{name: "bad impersonation", file: `{"type":"external_account","service_account_impersonation_url":"https://x/secret"}`, fails: "names no service account"},
		{name: "unknown", file: `{"type":"new","key":"secret"}`, fails: `type "new"`},
		{name: "no JSON", file: `secret`, fails: "not JSON"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := principalOf([]byte(test.file))
			switch {
			case test.fails == "" && (err != nil || !strings.HasPrefix(got, test.want)):
				t.Errorf("%q, %v, want %q", got, err, test.want)
			case test.fails != "" && (err == nil || !strings.Contains(err.Error(), test.fails)):
				t.Errorf("%v, want an error with %q", err, test.fails)
			case err != nil && strings.Contains(err.Error(), "secret"), strings.Contains(got, "secret"), strings.Contains(got, "token-token"):
				t.Errorf("a secret is told: %q, %v", got, err)
			}
		})
	}
	one, _ := principalOf([]byte(user))
	two, _ := principalOf([]byte(strings.Replace(user, "token-token", "another", 1)))
	if one == two {
		t.Error("two users have one name")
	}
}

// TestPrincipal finds the credential where the client's library finds it.
func TestPrincipal(t *testing.T) {
	file := filepath.Join(t.TempDir(), "credential.json")
	if err := os.WriteFile(file, []byte(user), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", file)
	a, err := New(t.Context(), "gs://vault/a", gcs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if who, err := a.Principal(t.Context()); err != nil || !strings.HasPrefix(who, "user of client client") {
		t.Errorf("%q, %v", who, err)
	}
}

// TestForeignPrincipal does not say whose a credential is that it has not seen.
func TestForeignPrincipal(t *testing.T) {
	a, err := New(t.Context(), "gs://vault/a", gcs.Options{Client: []option.ClientOption{option.WithoutAuthentication()}})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if who, err := a.Principal(t.Context()); err == nil {
		t.Errorf("%q", who)
	}
}

// TestMachinePrincipal asks a machine's own service account, and takes nothing else for an answer.
func TestMachinePrincipal(t *testing.T) {
	var status int
	var body string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Metadata-Flavor") != "Google" || r.URL.Path != "/computeMetadata/v1/instance/service-accounts/default/email" {
			status = http.StatusForbidden
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	defer server.Close()
	t.Setenv(metadataEnv, strings.TrimPrefix(server.URL, "http://"))
	status, body = http.StatusOK, "agent@p.iam.gserviceaccount.com\n"
	if who, err := machinePrincipal(t.Context()); err != nil || who != "agent@p.iam.gserviceaccount.com" {
		t.Errorf("%q, %v", who, err)
	}
	for s, b := range map[int]string{http.StatusNotFound: "agent@p", http.StatusOK: "<html>"} {
		status, body = s, b
		if who, err := machinePrincipal(t.Context()); err == nil {
			t.Errorf("%d %s: %q", s, b, who)
		}
	}
}
