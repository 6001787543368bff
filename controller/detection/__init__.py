"""Is it a leak? Blocks of memory in, one assessment per container out."""
