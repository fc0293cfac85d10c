# What hasteward asks of Vault or OpenBao for `triage` and `backup`, and nothing else.
#   bao policy write hasteward-backup backup.hcl

# Who are the peers, who leads, who votes.
path "sys/storage/raft/configuration" {
  capabilities = ["read"]
}

# How far each peer is, and how long ago it was heard of.
path "sys/storage/raft/autopilot/state" {
  capabilities = ["read"]
}

# The term of the keyring: after a rotation, older snapshots hold older keys.
path "sys/key-status" {
  capabilities = ["read"]
}

# The snapshot. It is encrypted by the barrier: without the unseal keys it gives nothing away.
path "sys/storage/raft/snapshot" {
  capabilities = ["read"]
}
