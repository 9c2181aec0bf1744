package rcloneprobe

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/user"

	"farshore/agent/probe"
)

// Bucket returns the probes of the credential itself, for the kinds of store where it can be read.
func (a *Attacker) Bucket() []probe.BucketProbe {
	switch a.kind {
	case "azureblob":
		return a.azureProbes()
	case "b2":
		return a.capabilityProbes()
	case "sftp", "local":
		return []probe.BucketProbe{untried("other folders", "rights on other folders", "modes and attributes belong to each file and folder: what is denied in canary/ may be permitted in another one, and folders themselves were not tried")}
	case "s3":
		return []probe.BucketProbe{untried("versions and settings", "s3:DeleteObjectVersion, or rights to the bucket's settings", "through rclone neither versions nor locks nor the bucket's settings were tried: the address s3://bucket/prefix has them tried")}
	}
	return []probe.BucketProbe{untried("other rights", "rights that farshore does not know", fmt.Sprintf("what a store of type %q enforces, and what else can destroy there, is not known to farshore", a.kind))}
}

// untried stands for what can destroy at a kind of store and can't be tried on canaries: without it the store is not proven to protect anything.
func untried(name, grant, why string) probe.BucketProbe {
	return always(probe.Kind{Probe: name, Property: probe.NoDestroy, Harm: probe.Destroys, Grant: grant}, probe.Result{Answer: probe.Unknown, Code: "not tried", Text: why})
}

// Notes say what this kind of store can't be asked, or can't enforce.
func (a *Attacker) Notes() []string {
	switch a.kind {
	case "azureblob":
		return a.azureNotes()
	case "b2":
		return []string{"every key that may upload to B2 may also hide a name, and upload over it: only an Object Lock on the bucket keeps what lies beneath, and a lifecycle rule removes what is hidden and not locked",
			"a key without a bucket of its own, and the account's master key, reach further than this vault"}
	case "sftp":
		return []string{"an SFTP server enforces no more than its configuration: what another account, a shell, or a change of authorized_keys can do at the server is not seen from here"}
	case "local":
		return []string{"a directory of this machine: whoever runs as this user, and every administrator of the machine, can remove everything in it"}
	case "s3":
		return []string{"through rclone only overwriting, copying over and deleting are tried: with the address s3://bucket/prefix the probe also tries versions, locks and the bucket's settings"}
	}
	return []string{fmt.Sprintf("the rules of a store of type %q are not known to farshore: what it denies is taken from its answers alone", a.kind)}
}

// Principal says whom the remote's settings stand for, without secrets. Where they don't tell, that is an error.
func (a *Attacker) Principal(context.Context) (string, error) {
	switch a.kind {
	case "azureblob":
		return a.azurePrincipal()
	case "b2":
		return "B2 key " + a.setting("account"), nil
	case "sftp":
		return a.sftpPrincipal()
	case "webdav":
		return a.webdavPrincipal()
	case "s3":
		if id := a.setting("access_key_id"); id != "" && a.setting("env_auth") != "true" {
			return "key " + id, nil
		}
	case "local":
		return fmt.Sprintf("uid %d of this machine", os.Geteuid()), nil
	}
	return "", fmt.Errorf("the settings of remote %s don't tell whom its credential belongs to", a.name)
}

func (a *Attacker) sftpPrincipal() (string, error) {
	name := a.setting("user")
	if name == "" {
		// rclone takes the user's own name.
		u, err := user.Current()
		if err != nil {
			return "", err
		}
		name = u.Username
	}
	at := name + "@" + a.setting("host")
	if port := a.setting("port"); port != "" {
		at += ":" + port
	}
	return at, nil
}

func (a *Attacker) webdavPrincipal() (string, error) {
	u, err := url.Parse(a.setting("url"))
	if err != nil {
		return "", errors.New("the remote's url can't be read") // and may hold a password
	}
	name := a.setting("user")
	if name == "" && u.User != nil {
		name = u.User.Username()
	}
	if name == "" {
		name = "nobody"
	}
	return name + "@" + u.Host, nil
}

// azurePrincipal names the account and what kind of credential it is.
func (a *Attacker) azurePrincipal() (string, error) {
	connection := parseConnection(a.setting("connection_string"))
	account := a.setting("account")
	if account == "" {
		account = connection["AccountName"]
	}
	mode, sas := a.azureCredential()
	switch mode {
	case azureKey:
		return "key of account " + account, nil
	case azureSAS:
		s, err := parseSAS(sas)
		if err != nil {
			return "", err
		}
		if u, err := url.Parse(sas); err == nil && u.Host != "" {
			account = u.Host + u.Path
		}
		return fmt.Sprintf("SAS of %s, %s", account, s), nil
	}
	for _, key := range []string{"client_id", "msi_client_id", "msi_object_id", "msi_mi_res_id"} {
		if id := a.setting(key); id != "" && a.setting("env_auth") != "true" {
			return fmt.Sprintf("identity %s, user %q", id, a.setting("username")), nil
		}
	}
	return "", errors.New("the remote's settings don't tell which identity is used: it is the environment's")
}
