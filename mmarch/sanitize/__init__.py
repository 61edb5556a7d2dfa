"""The TLB oracle that can run beside any workload in either engine."""

from mmarch.sanitize.oracle import Oracle
from mmarch.sanitize.violation import LogOverflow, Violation, Where

__all__ = ["LogOverflow", "Oracle", "Violation", "Where"]
