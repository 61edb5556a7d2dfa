"""Results as text for people: plain, at most 80 columns."""
