"""Bytes in and out: registries, layouts, archives, directories; one door to HTTP."""
