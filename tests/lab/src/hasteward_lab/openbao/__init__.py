"""OpenBao with Raft storage as its Helm chart sets it up: a StatefulSet that starts sealed, no operator."""
