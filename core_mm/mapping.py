"""What the kind of a file means (struct address_space_operations)."""

from __future__ import annotations

from core_mm.mm_types import INODE
from core_mm.uapi import FILE_EXT4, FILE_REGULAR, FILE_SHMEM, FILE_TMPFS, FILE_TMPFS_HUGE


def shmem_mapping(inode: int) -> int:
    """Whether the pages are shared memory: tmpfs or shared anonymous (mm/shmem.c:shmem_mapping)."""
    kind = INODE.kind[inode]
    return int(kind == FILE_SHMEM or kind == FILE_TMPFS or kind == FILE_TMPFS_HUGE)


def mapping_can_writeback(inode: int) -> int:
    """Whether the file has a disk to be written to; tmpfs and ramfs have none."""
    kind = INODE.kind[inode]
    return int(kind == FILE_EXT4 or kind == FILE_REGULAR)
