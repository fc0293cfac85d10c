"""What happens, in which order: each verb is one pipeline over ports and ONE engine."""
