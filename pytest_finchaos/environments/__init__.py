"""Environments: what finchaos.toml declares, built, fingerprinted, started, kept, reset and removed without a trace."""
