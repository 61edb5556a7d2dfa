"""Linux's mm/: what every architecture shares. Knows none of them."""
