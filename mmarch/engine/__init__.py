"""One source, two engines: interpreted through pluggy, or linked with LLVM."""
