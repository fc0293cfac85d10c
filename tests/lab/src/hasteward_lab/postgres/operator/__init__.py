"""The operator: one reconcile loop over one Cluster; only the API store is between it and the rest."""
