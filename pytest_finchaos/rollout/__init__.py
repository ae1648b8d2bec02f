"""Progressive delivery, judged: evidence against a new version, the decision on each step. Pure."""
