"""Removing pages from the page cache (mm/truncate.c)."""

from __future__ import annotations


def truncate_inode_pages(inode: int, start: int) -> int:
    """Drop the pages from page number `start` on."""
    return 0
