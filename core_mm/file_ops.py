"""System calls on files, and what concerns the whole machine."""

from __future__ import annotations

from core_mm.inode import file_inode, unlink
from core_mm.mm_types import EINVAL, ops
from core_mm.uapi import OP_FTRUNCATE, OP_UNLINK


def file_operation(op: int, mm: int, at: int) -> int:
    """Operations whose first argument is no address. Returns 0 or -errno."""
    a = ops[at]
    if op == OP_FTRUNCATE or op == OP_UNLINK:
        inode = file_inode(a)
        if inode == 0:
            return -EINVAL
        if op == OP_UNLINK:
            return unlink(inode)
    return 0
