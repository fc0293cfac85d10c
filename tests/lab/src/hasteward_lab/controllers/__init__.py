"""The controllers a control plane brings along: each looks at the store and makes it true."""
