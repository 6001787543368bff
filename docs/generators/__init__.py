"""Scripts that write the pages of `docs/` which follow from other files."""
