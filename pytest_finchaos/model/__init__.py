"""Frozen dataclasses and enums that every room speaks in; standard library only."""
