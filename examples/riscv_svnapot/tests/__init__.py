"""Tests of the RISC-V architecture."""
