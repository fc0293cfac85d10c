"""A small kubelet: its pods are bubblewrap sandboxes with real server processes."""
