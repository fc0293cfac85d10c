"""Who asks, and what may they: identities, RBAC, access reviews."""
