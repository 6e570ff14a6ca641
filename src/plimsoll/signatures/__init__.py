"""Is this signature good, given this key and this time? The only room that makes ``Verified...`` values."""
