"""The history of a run: one compact log, from which the page tables of any task at any operation can be had.

log = record(workload, setup)
tables = log.tables(at=1000, task=0)   # after operation 1000
tables[0x7f0000000000]                 # the leaf that translates an address, or None
for event in log.events(0, 10): ...    # what happened in operations 0 to 9
save(log, "run.history")               # and load("run.history") another day
"""

from mmarch.history.calls import CallTree
from mmarch.history.coverage import coverage
from mmarch.history.log import Event, History
from mmarch.history.record import CAP, record
from mmarch.history.stored import is_history, load, packed, save
from mmarch.history.tables import Leaf, Mapping, Tables

__all__ = [
    "CAP", "CallTree", "Event", "History", "Leaf", "Mapping", "Tables", "coverage", "is_history", "load", "packed",
    "record", "save",
]  # fmt: skip
