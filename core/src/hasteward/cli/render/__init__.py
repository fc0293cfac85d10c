"""Turns answers, events and errors into text or JSON. Nothing else prints."""
