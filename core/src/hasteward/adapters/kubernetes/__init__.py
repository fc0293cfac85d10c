"""The Kubernetes API over HTTPS, and processes in pods over WebSocket. Imported by the wiring only."""
