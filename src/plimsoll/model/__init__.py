"""Values of the OCI and signing specs: read from bytes or text, compared, never written back."""
