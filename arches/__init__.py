"""Linux's arch/: architectures, each known to core-mm by its hooks alone."""
