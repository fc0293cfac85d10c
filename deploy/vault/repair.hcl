# What hasteward asks of Vault or OpenBao for `restore` and `repair`: everything of backup.hcl, and this.
# Whoever holds a token with it can replace all that the cluster stores.
#   bao policy write hasteward-repair repair.hcl

path "sys/storage/raft/configuration" {
  capabilities = ["read"]
}

path "sys/storage/raft/autopilot/state" {
  capabilities = ["read"]
}

path "sys/key-status" {
  capabilities = ["read"]
}

path "sys/storage/raft/snapshot" {
  capabilities = ["read", "update"]
}

# A snapshot of another cluster (`restore --force`).
path "sys/storage/raft/snapshot-force" {
  capabilities = ["update"]
}

# A dead peer is taken out of the configuration.
path "sys/storage/raft/remove-peer" {
  capabilities = ["update"]
}
