package policy

import (
	"errors"
	"strings"
)

// azureBlob begins the data actions on blobs.
const (
	azureBlob      = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/"
	azureContainer = "Microsoft.Storage/storageAccounts/blobServices/containers"
	azureAccount   = "STORAGE_ACCOUNT"
)

// azureRefused are data actions that no role may have, written down so that a mistake in DataActions stays without effect.
var azureRefused = []string{
	azureBlob + "write", azureBlob + "delete", azureBlob + "deleteBlobVersion/action", azureBlob + "permanentDelete/action", azureBlob + "move/action",
	azureBlob + "tags/write", azureBlob + "immutableStorage/runAsSuperUser/action", azureBlob + "manageOwnership/action", azureBlob + "modifyPermissions/action",
	azureBlob + "runAsSuperUser/action",
}

// azureRole is a custom role definition, as `az role definition create` takes it.
type azureRole struct {
	Name             string
	IsCustom         bool
	Description      string
	Actions          []string
	NotActions       []string
	DataActions      []string
	NotDataActions   []string
	AssignableScopes []string
}

// buildAzure writes a custom role and a condition for each role of the vault.
func buildAzure(b *builder) {
	b.setting("Shared keys", "off (allowSharedKeyAccess=false)", "an account key may do everything")
	b.setting("Public access", "off", "nothing opens the vault")
	b.setting("Immutability policy of the container", "time-based, "+itoa(b.RetentionDays)+" days, locked, without protected append writes", "nobody at all removes or replaces a blob before its date")
	b.setting("Lifecycle management", "none", "a rule that deletes, deletes what its date has released")
	b.note("Words in capitals (SUBSCRIPTION, RESOURCE_GROUP, %s) stand for yours.", azureAccount)
	b.note("A SAS in place of a role: sign it with a user delegation key elsewhere, for the container, with permissions rcl (read, create, list), https only, for at most 7 days; it can't be held to rooms.")
	azureCommands(b)
	azureTerraform(b)
	for _, r := range b.Roles {
		role, condition := azureDefinition(b, r), azureCondition(b, r)
		raw := b.doc(string(r)+".json", "custom role of the "+string(r), role)
		b.doc(string(r)+"-condition.json", "condition of its assignment: which rooms it holds for", map[string]string{"conditionVersion": "2.0", "condition": condition})
		azureAssign(b, r, raw, condition)
		azureAssignTerraform(b, r, role, condition)
	}
}

func azureScope(b *builder) string {
	return "/subscriptions/SUBSCRIPTION/resourceGroups/RESOURCE_GROUP/providers/Microsoft.Storage/storageAccounts/" + azureAccount
}

func azureDefinition(b *builder, r Role) azureRole {
	role := azureRole{
		Name: b.policyName(r), IsCustom: true, Description: r.sentence(b.ReadBack), Actions: []string{}, NotActions: []string{},
		DataActions: []string{azureBlob + "read"}, NotDataActions: azureRefused, AssignableScopes: []string{azureScope(b)},
	}
	p := b.powers(r)
	if len(p.create) > 0 {
		role.DataActions = append(role.DataActions, azureBlob+"add/action")
	}
	if p.settings {
		role.Actions = append(role.Actions, azureContainer+"/read", azureContainer+"/immutabilityPolicies/read")
	}
	return role
}

// azureCondition holds a role to the container and the rooms. Listing is a read of the container, and no path can be matched with it.
func azureCondition(b *builder, r Role) string {
	p := b.powers(r)
	parts := []string{azureRule(b, "ActionMatches{'"+azureBlob+"read'} AND NOT SubOperationMatches{'Blob.List'}", p, read)}
	if len(p.create) > 0 {
		parts = append(parts, azureRule(b, "ActionMatches{'"+azureBlob+"add/action'}", p, create))
	}
	return strings.Join(parts, " AND ")
}

// azureRule is true for every action but the one it is for, and for that one in the ability's rooms.
func azureRule(b *builder, action string, p powers, a ability) string {
	folders := p.folders(a)
	if p.everywhere(a) {
		folders = []string{""}
	}
	var paths []string
	for _, f := range folders {
		paths = append(paths, "@Resource["+azureContainer+"/blobs:path] StringLike '"+b.Vault.under(f)+"*'")
	}
	return "((!(" + action + ")) OR (@Resource[" + azureContainer + ":name] StringEquals '" + b.Vault.Bucket + "' AND (" + strings.Join(paths, " OR ") + ")))"
}

// checkAzure also refuses what a condition's strings can't hold.
func checkAzure(v Vault) error {
	if strings.ContainsAny(v.Prefix, `'\`) {
		return errors.New(`the vault's prefix has a ' or \, which a condition of Azure can't hold: choose another prefix`)
	}
	if strings.ContainsAny(v.Bucket, "._") {
		return errors.New("a container's name has no dots and underscores")
	}
	return checkBucket(bucketName)(v)
}

func azureCommands(b *builder) {
	account := variable("STORAGE_ACCOUNT", "the storage account, which the vault has to itself")
	group := variable("RESOURCE_GROUP", "its resource group")
	named := shellWord(`"$STORAGE_ACCOUNT"`)
	b.step("The account: no keys, nothing public.", command("az", "storage", "account", "create", "--name", account, "--resource-group", group, "--sku", "Standard_ZRS", "--kind", "StorageV2",
		"--allow-shared-key-access", "false", "--allow-blob-public-access", "false", "--min-tls-version", "TLS1_2", "--https-only", "true"))
	b.step("The container.", command("az", "storage", "container", "create", "--name", b.Vault.Bucket, "--account-name", named, "--auth-mode", "login"))
	policy := []any{"--account-name", named, "--container-name", b.Vault.Bucket, "--resource-group", shellWord(`"$RESOURCE_GROUP"`)}
	b.step("Every blob is kept for "+itoa(b.RetentionDays)+" days.",
		command(append([]any{"az", "storage", "container", "immutability-policy", "create", "--period", itoa(b.RetentionDays), "--allow-protected-append-writes", "false"}, policy...)...))
	b.step("Lock the policy. THIS CAN NEVER BE UNDONE: from here on the period can only grow.",
		"etag=$("+command(append([]any{"az", "storage", "container", "immutability-policy", "show", "--query", "etag", "--output", "tsv"}, policy...)...)+")",
		command(append([]any{"az", "storage", "container", "immutability-policy", "lock", "--if-match", shellWord(`"$etag"`)}, policy...)...))
}

func azureAssign(b *builder, r Role, role Raw, condition string) {
	id := variable(upper(r)+"_ID", "the object id of the service principal or managed identity that acts as "+string(r))
	scope := shellWord(`"/subscriptions/${SUBSCRIPTION:?set it to the subscription's id}/resourceGroups/$RESOURCE_GROUP/providers/Microsoft.Storage/storageAccounts/$STORAGE_ACCOUNT"`)
	file := string(r) + ".json"
	b.step(b.purpose(r), "scope="+string(scope), heredoc(file, role),
		command("sed", shellWord(`"s|/subscriptions/SUBSCRIPTION/.*/`+azureAccount+`|$scope|"`), file)+" > "+shellQuote("scoped-"+file),
		command("az", "role", "definition", "create", "--role-definition", "@scoped-"+file),
		command("az", "role", "assignment", "create", "--assignee-object-id", id, "--role", b.policyName(r), "--scope", shellWord(`"$scope"`), "--condition-version", "2.0", "--condition", condition))
}

func azureTerraform(b *builder) {
	b.hcl(hclVariable("storage_account", "the storage account, which the vault has to itself"), hclVariable("resource_group", "its resource group"), hclVariable("location", "where the account shall be, such as westeurope"))
	id := expression("azurerm_storage_container.vault.id")
	b.hcl(
		resource("azurerm_storage_account", "vault").set("name", expression("var.storage_account"), "resource_group_name", expression("var.resource_group"), "location", expression("var.location"),
			"account_tier", "Standard", "account_replication_type", "ZRS", "shared_access_key_enabled", false, "allow_nested_items_to_be_public", false, "min_tls_version", "TLS1_2", "https_traffic_only_enabled", true).
			with("lifecycle", "prevent_destroy", true),
		resource("azurerm_storage_container", "vault").set("name", b.Vault.Bucket, "storage_account_id", expression("azurerm_storage_account.vault.id"), "container_access_type", "private"),
		resource("azurerm_storage_container_immutability_policy", "vault").set("storage_container_resource_manager_id", id, "immutability_period_in_days", b.RetentionDays, "locked", true,
			"protected_append_writes_enabled", false, "protected_append_writes_all_enabled", false),
	)
}

func azureAssignTerraform(b *builder, r Role, role azureRole, condition string) {
	name := string(r)
	definition := resource("azurerm_role_definition", name).set("name", role.Name, "scope", expression("azurerm_storage_account.vault.id"), "description", role.Description)
	definition.block("permissions").set("actions", role.Actions, "data_actions", role.DataActions, "not_data_actions", role.NotDataActions)
	b.hcl(hclVariable(name+"_id", "object id of the principal that acts as "+name), definition,
		resource("azurerm_role_assignment", name).set("scope", expression("azurerm_storage_account.vault.id"), "role_definition_id", expression("azurerm_role_definition."+name+".role_definition_resource_id"),
			"principal_id", expression("var."+name+"_id"), "condition_version", "2.0", "condition", condition))
}
