"""The means by which a program's faults and system calls can be recorded, one a file."""
