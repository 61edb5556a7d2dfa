"""From names on a command line to counts: configure, open, assemble, run, ablate, price."""
