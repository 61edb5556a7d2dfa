"""Results of a fault (include/linux/mm_types.h:enum vm_fault_reason)."""

from __future__ import annotations

VM_FAULT_OOM = 0x1
VM_FAULT_SIGBUS = 0x2
VM_FAULT_MAJOR = 0x4
VM_FAULT_SIGSEGV = 0x40
VM_FAULT_NOPAGE = 0x100
VM_FAULT_RETRY = 0x400
VM_FAULT_FALLBACK = 0x800
VM_FAULT_AHEAD = 0x10000  # of mmarch: besides RETRY, a window is being read for which the fault does not wait
VM_FAULT_ERROR = VM_FAULT_OOM | VM_FAULT_SIGBUS | VM_FAULT_SIGSEGV
