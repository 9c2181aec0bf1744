package servers

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"testing"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// MinIOUser creates a user on a server that MinIO started, who may do what the policy says and nothing else, and returns the same server with the
// user's account. s is the account of the server's owner.
func MinIOUser(tb testing.TB, s S3, policy string) S3 {
	tb.Helper()
	name := "user" + token()
	u := s
	u.AccessKey, u.SecretKey = name, token()
	body, err := json.Marshal(map[string]string{"secretKey": u.SecretKey, "status": "enabled"})
	if err != nil {
		tb.Fatal(err)
	}
	s.admin(tb, "add-user", url.Values{"accessKey": {name}}, sealed(tb, s.SecretKey, body))
	s.admin(tb, "add-canned-policy", url.Values{"name": {name}}, []byte(policy))
	s.admin(tb, "set-user-or-group-policy", url.Values{"policyName": {name}, "userOrGroup": {name}, "isGroup": {"false"}}, nil)
	return u
}

// admin makes one request to MinIO's administration, which is signed as those of S3 are. A server that calls itself ready may not have read its users yet, and
// answers 503 until it has: it is asked again.
func (s S3) admin(tb testing.TB, call string, query url.Values, body []byte) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		status, answer := s.adminOnce(ctx, tb, call, query, body)
		if status == http.StatusOK {
			return
		}
		if status != http.StatusServiceUnavailable {
			tb.Fatalf("minio's %s: %d: %s", call, status, answer)
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			tb.Fatalf("minio's %s: %d: %s", call, status, answer)
		}
	}
}

func (s S3) adminOnce(ctx context.Context, tb testing.TB, call string, query url.Values, body []byte) (status int, answer []byte) {
	tb.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, s.Endpoint+"/minio/admin/v3/"+call+"?"+query.Encode(), bytes.NewReader(body))
	if err != nil {
		tb.Fatal(err)
	}
	c, err := s.Credentials().Retrieve(ctx)
	if err != nil {
		tb.Fatal(err)
	}
	sum := sha256.Sum256(body)
	req.Header.Set("X-Amz-Content-Sha256", hex.EncodeToString(sum[:]))
	if err := v4.NewSigner().SignHTTP(ctx, c, req, hex.EncodeToString(sum[:]), "s3", s.Region, time.Now()); err != nil {
		tb.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		tb.Fatal(err)
	}
	defer resp.Body.Close()
	if answer, err = io.ReadAll(io.LimitReader(resp.Body, 1<<16)); err != nil {
		tb.Fatalf("minio's %s: %s: %v", call, resp.Status, err)
	}
	return resp.StatusCode, answer
}

// sealed encrypts what MinIO's administration takes encrypted only, in the form that it documents: 32 bytes of salt, the way of making a key (2 is PBKDF2
// with 8192 rounds of SHA-256), 8 bytes of nonce, and one last fragment of AES-256-GCM, whose associated data ends with the tag of an empty first one.
func sealed(tb testing.TB, password string, data []byte) []byte {
	tb.Helper()
	salt, nonce := make([]byte, 32), make([]byte, 12)
	_, _ = rand.Read(salt) // crypto/rand never fails: it ends the program instead
	_, _ = rand.Read(nonce[:8])
	key, err := pbkdf2.Key(sha256.New, password, salt, 8192, 32)
	if err != nil {
		tb.Fatal(err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		tb.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		tb.Fatal(err)
	}
	if len(data) > 1<<14 {
		tb.Fatal(fmt.Errorf("%d bytes do not fit one fragment", len(data)))
	}
	out := append(append(append([]byte{}, salt...), 2), nonce[:8]...)
	last := append([]byte{0x80}, gcm.Seal(nil, nonce, nil, nil)...)
	binary.LittleEndian.PutUint32(nonce[8:], 1)
	return gcm.Seal(out, nonce, data, last)
}
