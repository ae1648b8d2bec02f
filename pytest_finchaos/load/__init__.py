"""Load: profiles as data, a seeded open-loop plan, a driver in a child process, records and their history."""
