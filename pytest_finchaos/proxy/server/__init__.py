"""The built-in server: Toxiproxy's HTTP API, version 2, and its toxics, in one process on one event loop."""
