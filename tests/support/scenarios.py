"""Small scenarios for tests of the tool around core-mm."""

TINY = """\
scenario tiny
map A 512
write A
fork
child: write A 16..32
reap
dontneed A 0 64
unmap A
end
"""
