"""Bytes on their way, and the proof that all of them arrived. Pure: no process, no socket."""
