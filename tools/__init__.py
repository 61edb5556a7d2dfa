"""Programs for those who work on mmarch."""
