"""The instance manager: PID 1 of a database pod. Standard library only; it runs inside the pod."""
