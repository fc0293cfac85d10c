"""The emulated Kubernetes API: one HTTPS server over one object store."""
