"""Lazy MMU mode: sections in which changes of entries may wait (include/linux/pgtable.h; Linux 6.12, 7.3).

6.12 calls the architecture at either end of a section, and sections do not nest. Since 7.0 they do: the outermost
one enters and leaves the mode, the end of an inner one only makes what waits happen. While the mode is paused
neither has an effect; of the kernel's own code KASAN pauses it, which the twin has not.
"""

from __future__ import annotations

from core_mm.features import feature
from core_mm.hookspecs import arch_enter_lazy_mmu_mode, arch_flush_lazy_mmu_mode, arch_leave_lazy_mmu_mode
from core_mm.mm_types import mach
from core_mm.vmstat import W_LAZY_MMU, WARN


def is_lazy_mmu_mode_active() -> int:
    """Whether changes may wait; known since 7.0."""
    return mach.lazy_enabled > 0 and mach.lazy_paused == 0


def lazy_mmu_mode_enable() -> int:
    """Begin a section. Returns 0."""
    if not feature.lazy_mmu_nesting:
        return arch_enter_lazy_mmu_mode()
    if mach.lazy_paused:
        return 0
    mach.lazy_enabled += 1
    return arch_enter_lazy_mmu_mode() if mach.lazy_enabled == 1 else 0


def lazy_mmu_mode_disable() -> int:
    """End it: all changes so far take effect, whether or not a section around it goes on. Returns 0."""
    if not feature.lazy_mmu_nesting:
        return arch_leave_lazy_mmu_mode()
    if mach.lazy_paused:
        return 0
    if mach.lazy_enabled == 0:
        return WARN(W_LAZY_MMU, 0)
    mach.lazy_enabled -= 1
    return arch_flush_lazy_mmu_mode() if mach.lazy_enabled else arch_leave_lazy_mmu_mode()


def lazy_mmu_mode_pause() -> int:
    """Leave the mode, however deep, until `lazy_mmu_mode_resume`; pauses nest. Returns 0."""
    mach.lazy_paused += 1
    return arch_leave_lazy_mmu_mode() if mach.lazy_paused == 1 and mach.lazy_enabled else 0


def lazy_mmu_mode_resume() -> int:
    """End a pause; after the last one the mode is as it was. Returns 0."""
    if mach.lazy_paused == 0:
        return WARN(W_LAZY_MMU, 1)
    mach.lazy_paused -= 1
    return arch_enter_lazy_mmu_mode() if mach.lazy_paused == 0 and mach.lazy_enabled else 0
