"""The money of a drill: reads the ledger at rest, resolves what clients could not know, checks the invariants."""
