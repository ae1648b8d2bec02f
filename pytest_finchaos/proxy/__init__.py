"""Toxiproxy: its client, the launcher of a server, the undo of what was done to it, and the built-in server."""
