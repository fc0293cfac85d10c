"""The only rooms with windows: what the ports promise, done by real programs and servers."""
