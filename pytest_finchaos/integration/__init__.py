"""The only rooms, with plugin and fixtures, that know pytest."""
