package vault

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"farshore/agent/record"
	"farshore/crypto/seal"
	"farshore/crypto/sign"
	"farshore/providers"
)

// CreateOptions say what the first statement of a new vault contains.
type CreateOptions struct {
	Owner sign.PrivateKey
	// Recovery and Metadata are age recipients, all of one class; Metadata is the agent's.
	Recovery []string
	Metadata string
	// Agent is the first agent's signing key.
	Agent sign.PublicKey
	Time  time.Time
	Note  string
}

// Create writes the owner's first statement into an empty place and returns the vault's id. It fails when anything but canaries is there, also
// what is hidden beneath delete markers, where the store shows it: readers would see it.
func Create(ctx context.Context, b *providers.Bucket, o CreateOptions) (string, error) {
	for n, err := range b.Names(ctx, "", "") {
		if err != nil {
			return "", err
		}
		if record.IsCanary(n.Name) {
			continue // whoever tries a credential before there is a vault leaves some, and may not be able to remove them
		}
		hidden := ""
		if n.Hidden {
			hidden = ", hidden"
		}
		return "", fmt.Errorf("%s is not empty (it has %s%s): a vault begins in an empty place", b.Traits().Place, n.Name, hidden)
	}
	st := firstStatement(o)
	stored, err := encodeSigned(kindStatement, "-", func() ([]byte, error) { return record.EncodeStatement(st) }, o.Owner)
	if err != nil {
		return "", err
	}
	if _, err := seal.NewSealer(append(append([]string{}, o.Recovery...), o.Metadata)); err != nil {
		return "", err
	}
	sum := sha256.Sum256(stored)
	name := record.StatementName(1, sum)
	if _, _, err := b.Create(ctx, name, section(stored), sum); err != nil {
		return "", err
	}
	return record.Hash(sum).String(), nil
}

func firstStatement(o CreateOptions) *record.Statement {
	st := &record.Statement{
		N: 1, Time: o.Time.UTC(), Owner: o.Owner.Public().String(), Format: 1,
		Parameters: DefaultParameters(),
		Note:       o.Note,
		Signers: []record.Signer{{
			ID: o.Agent.ID(), Algorithm: "ed25519", Key: o.Agent.String(), Roles: []string{record.RoleAgent}, Sources: []string{"*"},
		}},
	}
	for _, r := range o.Recovery {
		st.Recipients = append(st.Recipients, record.Recipient{Recipient: r, Role: record.RoleRecovery})
	}
	st.Recipients = append(st.Recipients, record.Recipient{Recipient: o.Metadata, Role: record.RoleMetadata, Signer: o.Agent.ID()})
	return st
}

// DefaultParameters are those of format version 1 (docs/format.md, section 3.1).
func DefaultParameters() record.Parameters {
	return record.Parameters{
		PackSize: 32 << 20, FrameSize: 1 << 20, Chunking: "jc-v1.0.0", ChunkMin: 256 << 10, ChunkNormal: 1 << 20, ChunkMax: 4 << 20,
		ChunkName: "blake3-keyed-256", Compression: "zstd", Padding: "steps-1",
	}
}
