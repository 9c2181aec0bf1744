package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"farshore/agent/config"
	"farshore/agent/record"
	"farshore/agent/vault"
	"farshore/crypto/seal"
	"farshore/crypto/sign"
	"farshore/providers"
)

// initOptions are what init was asked for.
type initOptions struct {
	vault, config, kit, state, name string
	recipients                      []string
	bucket                          bucketOptions
}

func initCommand(e *env) *cobra.Command {
	var o initOptions
	var j joinOptions
	cmd := &cobra.Command{
		Use:   "init --vault URL --config FILE --kit DIR",
		Short: "Make a new vault, its keys, a configuration and the recovery kit",
		Long: `Make the keys, write the owner's first statement into an empty place, and write a configuration that pins the owner's key and the
recipients, the agent's keys beside it (keys/agent.key and keys/metadata.key), and the recovery kit: recovery.key, owner.key and
RECOVERY.md. Take the kit away from this machine afterwards.

With --recipient the recovery identity was made elsewhere (age-keygen -pq), and never touches this machine. Nothing that exists
is touched: a vault, a configuration or key files that are there make it refuse.

With --join the vault is there, and this host gets an agent of its own: keys, a configuration that pins the owner given with --owner-pub and the
recipients that this owner signed, and a request (join.request) with which the owner names the agent.

With --create-bucket, and an administrator's credential for it, init makes the S3 bucket too: with Object Lock and a default retention
in mode COMPLIANCE. It never changes a bucket that exists. What the bucket has is always said, as it tells itself.

Exit codes: 0 done, 1 failed, 2 usage, or something exists already, 3 a bucket was made and does not have all that it should.`,
		Example: "  farshore init --create-bucket --retention 45d --vault 's3://offsite/vault?region=eu-west-3' --config farshore.yaml --kit kit\n  farshore init --vault gs://offsite/vault --config /etc/farshore/farshore.yaml --kit /media/usb/kit\n  farshore init --vault file:///srv/vault --config farshore.yaml --kit kit --recipient age1pq1…\n  farshore init --join --vault gs://offsite/vault --config /etc/farshore/farshore.yaml --owner-pub ed25519:…",
		Args:    arguments(0, 0, ""),
	}
	cmd.Flags().StringVar(&o.kit, "kit", "", "new `DIRECTORY` for the recovery kit (needed)")
	cmd.Flags().StringArrayVar(&o.recipients, "recipient", nil, "age `RECIPIENT` of a recovery identity that was made elsewhere; may be repeated")
	cmd.Flags().StringVar(&o.name, "name", "", "`NAME` of this agent, noted in the vault for anyone who can read the store (default: none)")
	o.bucket.flags(cmd)
	j.flags(cmd)
	return e.does(cmd, func(ctx context.Context, args []string) (result, error) {
		if j.join && o.bucket.create {
			return nil, usagef("--create-bucket is for a new vault: one that is joined has its bucket")
		}
		if j.join {
			j.initOptions = o
			return j.run(ctx, e)
		}
		if j.metadata != "" {
			return nil, usagef("--metadata is for --join: a new vault has a new metadata key")
		}
		o.vault, o.config, o.state = e.flags.vault, e.flags.config, e.flags.state
		if err := o.check(); err != nil {
			return nil, err
		}
		return runInit(ctx, e, o)
	})
}

// check holds the flags to what init needs.
func (o *initOptions) check() error {
	for _, need := range []struct{ flag, value, what string }{
		{"--vault", o.vault, "where the vault shall be"}, {"--config", o.config, "the configuration to write"}, {"--kit", o.kit, "the recovery kit's directory"},
	} {
		if need.value == "" {
			return usagef("init needs %s: %s", need.flag, need.what).with("run `farshore init --help` for an example")
		}
	}
	if err := config.CheckVault(o.vault); err != nil {
		return usagef("--vault: %w", err)
	}
	if err := o.bucket.check(o.vault); err != nil {
		return err
	}
	if len(o.recipients) > 0 {
		if _, err := seal.NewSealer(o.recipients); err != nil {
			return usagef("--recipient: %w", err)
		}
	}
	return nil
}

// runInit makes a vault. Keys are durable before the vault exists, and the configuration comes last: where that exists, init was finished. What a
// failed init wrote is removed again, unless the vault may exist already.
func runInit(ctx context.Context, e *env, o initOptions) (result, error) {
	l := newLayout(o)
	if err := l.check(); err != nil {
		return nil, err
	}
	k, err := makeKeys(o.recipients)
	if err != nil {
		return nil, err
	}
	if err := makePlace(o.vault); err != nil {
		return nil, fmt.Errorf("make the vault's directory: %w", err)
	}
	if err := o.bucket.make(ctx, o.vault); err != nil {
		return nil, err
	}
	var r *initResult
	err = e.withStore(ctx, o.vault, config.Limits{}, func(s *store) error {
		r, err = l.build(ctx, s.Bucket, o, k, e.now())
		return err
	})
	if r == nil {
		return nil, err
	}
	return r, err
}

// build writes the keys, the vault and the rest, in this order.
func (l *layout) build(ctx context.Context, b *providers.Bucket, o initOptions, k *initKeys, now time.Time) (*initResult, error) {
	keeps, err := o.bucket.look(ctx, b)
	if err != nil {
		return nil, err
	}
	if err := checkEmpty(ctx, b); err != nil {
		return nil, err
	}
	if err := l.writeKeys(k); err != nil {
		return nil, errors.Join(err, l.undo())
	}
	id, err := create(ctx, b, k, o.name, now)
	if err != nil {
		return nil, errors.Join(err, l.abandon(ctx, b))
	}
	r := newInitResult(o, l, k, id)
	r.Bucket = keeps
	if err := l.finish(k, r, now); err != nil {
		return nil, fmt.Errorf("vault %s was made, but not all of its files: %w; keep those that are there: %s", id, err, strings.Join(l.made, ", "))
	}
	return r, nil
}

// create writes the owner's first statement.
func create(ctx context.Context, b *providers.Bucket, k *initKeys, name string, now time.Time) (string, error) {
	o := vault.CreateOptions{Owner: k.owner, Recovery: k.recipients, Metadata: k.metadataRecipient, Agent: k.agent.Public(), Time: now}
	if name != "" {
		o.Note = "agent " + k.agent.ID() + " is " + name
	}
	id, err := vault.Create(ctx, b, o)
	if err != nil {
		return "", fmt.Errorf("make the vault: %w", err)
	}
	return id, nil
}

// checkEmpty refuses a place that holds anything but canaries, with a hint of what that may be.
func checkEmpty(ctx context.Context, b *providers.Bucket) error {
	for info, err := range b.List(ctx, "", "") {
		if err != nil {
			return fmt.Errorf("look into the vault's place: %w", err)
		}
		if record.IsCanary(info.Name) {
			continue // of a probe before there was a vault
		}
		f := usagef("%s is not empty: it has %s", b.Traits().Place, info.Name)
		if strings.HasPrefix(info.Name, "vault/") || strings.HasPrefix(info.Name, "commits/") {
			return f.with("there is a vault already: choose another prefix; if an earlier init did not finish and there is nothing else, delete this object with the provider's own tools")
		}
		return f.with("a vault begins in an empty place: choose another prefix or directory")
	}
	return nil
}

// initKeys are all the keys of a new vault.
type initKeys struct {
	owner, agent sign.PrivateKey
	// recovery is the secret identity, empty when it was made elsewhere.
	recovery                    string
	recipients                  []string
	metadata, metadataRecipient string
}

// makeKeys makes the keys. The metadata identity is of the recipients' class, since age refuses to mix them.
func makeKeys(recipients []string) (*initKeys, error) {
	k := &initKeys{recipients: recipients}
	var errs [4]error
	generate := seal.GenerateHybrid
	if len(recipients) == 0 {
		var recipient string
		k.recovery, recipient, errs[0] = seal.GenerateHybrid()
		k.recipients = []string{recipient}
	} else if class, err := seal.Class(recipients[0]); err == nil && class == seal.X25519 {
		generate = seal.GenerateX25519
	}
	k.metadata, k.metadataRecipient, errs[1] = generate()
	k.owner, errs[2] = sign.Generate()
	k.agent, errs[3] = sign.Generate()
	if err := errors.Join(errs[:]...); err != nil {
		return nil, fmt.Errorf("make keys: %w", err)
	}
	return k, nil
}

// initResult is the result of init.
type initResult struct {
	VaultID    string   `json:"vault_id"`
	Vault      string   `json:"vault"`
	Owner      string   `json:"owner"`
	Agent      string   `json:"agent"`
	Recipients []string `json:"recipients"`
	Config     string   `json:"config"`
	Keys       []string `json:"keys"`
	Kit        []string `json:"kit"`
	// Bucket is how the store keeps what is written, as it says itself.
	Bucket   *keepsResult `json:"bucket"`
	kitDir   string
	recovery bool
}

func newInitResult(o initOptions, l *layout, k *initKeys, id string) *initResult {
	r := &initResult{
		VaultID: id, Vault: o.vault, Owner: k.owner.Public().String(), Agent: k.agent.ID(), Recipients: k.recipients,
		Config: l.config, Keys: []string{l.agent, l.metadata}, Kit: []string{l.owner, l.guide}, kitDir: l.kit, recovery: k.recovery != "",
	}
	if r.recovery {
		r.Kit = append([]string{l.recovery}, r.Kit...)
	}
	return r
}

func (r *initResult) text(p *printer) {
	p.line("The vault is made: %s", r.Vault)
	p.line("  id             %s", r.VaultID)
	p.line("  owner          %s", r.Owner)
	p.line("  configuration  %s", r.Config)
	p.line("  agent's keys   %s", strings.Join(r.Keys, ", "))
	p.line("  recovery kit   %s", strings.Join(r.Kit, ", "))
	p.line("")
	r.Bucket.text(p)
	p.line("")
	p.line("Take the recovery kit away from this machine now: copy %s to two places that are offline and apart,", r.kitDir)
	p.line("read RECOVERY.md there, and then delete it here.")
	if r.recovery {
		p.line("Without recovery.key nothing in the vault can ever be restored, and whoever has it can read everything.")
	} else {
		p.line("Without the recovery identity, which you made elsewhere, nothing in the vault can ever be restored: put the two comment")
		p.line("lines of RECOVERY.md into its file.")
	}
	p.line("owner.key signs what the vault believes: who may add to it, and to whom it is sealed. It is not needed daily.")
	p.line("")
	if !config.Local(r.Vault) {
		p.line("Before anything is stored, give the agent a credential that can only add (farshore policy --role writer --vault …), and prove it here:")
		p.line("  farshore probe --config %s", shellWord(r.Config))
	}
	p.line("%s", promiseNote(r.Vault))
	p.line("Next: farshore source add NAME s3://BUCKET --config %s, then farshore replicate --config %s", shellWord(r.Config), shellWord(r.Config))
}
