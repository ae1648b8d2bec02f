"""Objectives, exact bounds, error budget spent, claims, recovery: pure functions over what the load did."""
