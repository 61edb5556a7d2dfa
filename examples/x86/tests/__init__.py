"""Tests of the x86 architecture."""
