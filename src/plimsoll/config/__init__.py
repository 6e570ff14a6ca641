"""Finds and reads the user's files; the bytes with their origin, parsed elsewhere."""
