package verify_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"farshore/agent/vault"
	"farshore/agent/verify"
	"farshore/crypto/seal"
	"farshore/crypto/sign"
	"farshore/providers"
	"farshore/providers/faults"
	"farshore/providers/mem"
)

// newVault creates a vault without commits.
func newVault(t *testing.T, d providers.Driver) *vault.Vault {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	owner, err := sign.Generate()
	must(err)
	agent, err := sign.Generate()
	must(err)
	_, recovery, err := seal.GenerateX25519()
	must(err)
	_, metadata, err := seal.GenerateX25519()
	must(err)
	b := providers.New(d, providers.Options{Attempts: 1})
	_, err = vault.Create(context.Background(), b, vault.CreateOptions{Owner: owner, Recovery: []string{recovery}, Metadata: metadata, Agent: agent.Public(), Time: time.Now()})
	must(err)
	pub := owner.Public()
	v, err := vault.Open(context.Background(), b, vault.Options{Owner: &pub})
	must(err)
	return v
}

// TestManyFindings holds that all findings are counted, and a bounded number listed.
func TestManyFindings(t *testing.T) {
	d := mem.New()
	v := newVault(t, d)
	for i := range 1100 {
		d.Set(fmt.Sprintf("packs/%04d", i), []byte("junk"))
	}
	d.Set(fmt.Sprintf("meta/00/%064d", 0), []byte("not zero"))
	res, err := verify.Full(context.Background(), v, verify.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if res.OK() || res.Tampered != 1100 || res.Damaged != 1 || len(res.Findings) != 1000 {
		t.Errorf("%d tampered, %d damaged, %d findings listed", res.Tampered, res.Damaged, len(res.Findings))
	}
	if res.Pinned != true || res.Objects != 1 || res.Statements != 1 {
		t.Errorf("%+v", res)
	}
}

// TestStoreFailureIsNoFinding holds that a verification which could not look says so, in place of calling it damage or calling it fine.
func TestStoreFailureIsNoFinding(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault faults.Fault
	}{
		{"a listing is denied", faults.Fault{Op: "list", Prefix: "packs/", Action: faults.Before, Err: &providers.Error{Kind: providers.Denied}}},
		{"a listing of commits fails", faults.Fault{Op: "list", Prefix: "commits/", Action: faults.Before}},
		{"an object is denied", faults.Fault{Op: "open", Prefix: "meta/", Action: faults.Before, Err: &providers.Error{Kind: providers.Denied}}},
		{"an object's reading fails", faults.Fault{Op: "open", Prefix: "meta/", Action: faults.Before}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := mem.New()
			f := faults.New(d)
			v := newVault(t, f)
			d.Set(fmt.Sprintf("meta/00/%064d", 0), []byte("not zero"))
			f.Add(c.fault)
			res, err := verify.Full(context.Background(), v, verify.Options{})
			if err == nil {
				t.Errorf("it came to its end: %+v", res)
			}
		})
	}
}

// TestCancel ends a verification with its context.
func TestCancel(t *testing.T) {
	d := mem.New()
	v := newVault(t, d)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := verify.Full(ctx, v, verify.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled verification: %v", err)
	}
}
