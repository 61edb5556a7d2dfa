"""Every check there is; importing this registers them."""

from mmarch.check import algebra, batch, batch_find, contiguous, gathering, lockless, smoke, tlb

__all__ = ["algebra", "batch", "batch_find", "contiguous", "gathering", "lockless", "smoke", "tlb"]
