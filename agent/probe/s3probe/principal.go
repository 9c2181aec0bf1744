package s3probe

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// principal remembers whom an access key belongs to: it does not change.
type principal struct {
	mu       sync.Mutex
	key, arn string
}

// Principal tells whom the credential belongs to. On AWS that is the ARN of the user, or of the role without the session's name, so that the session keys
// of one role are one principal; asking takes no permission. Elsewhere, and where AWS does not answer, it is whom the session's token names, as
// MinIO's do, and else the id of the access key: session keys of such a service are each a principal then, and the probe runs again with each.
func (a *Attacker) Principal(ctx context.Context) (string, error) {
	provider := a.client.Options().Credentials
	if provider == nil {
		return "", fmt.Errorf("there are no credentials for %s", a.at)
	}
	c, err := provider.Retrieve(ctx)
	if err != nil {
		return "", err
	}
	if a.client.Options().BaseEndpoint == nil { // neither the address nor the environment names another service
		if arn := a.who.ask(ctx, a.caller, c.AccessKeyID); arn != "" {
			return arn, nil
		}
	}
	if who := bearer(c.SessionToken, c.AccessKeyID); who != "" {
		return who, nil
	}
	if c.SessionToken != "" {
		return "temporary key " + c.AccessKeyID, nil
	}
	return "key " + c.AccessKeyID, nil
}

// ask returns the ARN behind the key, or "" where it could not be told.
func (p *principal) ask(ctx context.Context, caller func(context.Context) (string, error), key string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.key == key {
		return p.arn
	}
	arn, err := caller(ctx)
	if err != nil {
		return ""
	}
	p.key, p.arn = key, withoutSession(arn)
	return p.arn
}

// passing are the claims of a token that differ from one session of the same principal, under the same rights, to the next.
var passing = []string{"accessKey", "exp", "iat", "nbf", "jti"}

// maxToken bounds what is read of a session's token: services send some KiB.
const maxToken = 64 << 10

// bearer returns whom a session's token was made for, where it is a JSON Web Token for that access key that says so in "parent", as MinIO's are; "" else. What else it
// claims, such as a policy of the session's own, is part of the principal, as a hash. Nobody checks the signature here: the store does, with each request.
func bearer(token, key string) string {
	parts := strings.Split(token, ".")
	if len(token) > maxToken || len(parts) != 3 {
		return ""
	}
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims map[string]any
	if err != nil || json.Unmarshal(b, &claims) != nil || claims["accessKey"] != key {
		return ""
	}
	parent, _ := claims["parent"].(string)
	if parent == "" {
		return ""
	}
	who := fmt.Sprintf("temporary keys of %q", parent)
	delete(claims, "parent")
	for _, name := range passing {
		delete(claims, name)
	}
	if len(claims) == 0 {
		return who
	}
	rest, err := json.Marshal(claims) // sorted by name
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(rest)
	return who + " with claims " + hex.EncodeToString(sum[:6])
}

// caller asks AWS's token service in the bucket's region.
func (a *Attacker) caller(ctx context.Context) (string, error) {
	o := a.client.Options()
	client := sts.New(sts.Options{Region: o.Region, Credentials: o.Credentials, HTTPClient: o.HTTPClient, Retryer: aws.NopRetryer{}})
	out, err := client.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return "", err
	}
	return aws.ToString(out.Arn), nil
}

// withoutSession makes arn:aws:sts::1:assumed-role/name/session the same for all sessions.
func withoutSession(arn string) string {
	if head, rest, ok := strings.Cut(arn, ":assumed-role/"); ok {
		role, _, _ := strings.Cut(rest, "/")
		return head + ":assumed-role/" + role
	}
	return arn
}
