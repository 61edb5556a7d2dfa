"""mm/memory.c: faults, copying, zapping, and access by the program."""
