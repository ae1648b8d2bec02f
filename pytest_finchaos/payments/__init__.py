"""The reference payment system, run as separate processes; nobody imports it, and it imports nothing of the harness."""
