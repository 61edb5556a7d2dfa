"""A scenario's regions side by side, as the VMAs they become."""

from __future__ import annotations

from mmarch.scenario import lower, parse
from tests.support.computer import PAGE, Computer

HOLE = 512  # pages: the guard before it is a PMD long
LINES = ["map A 16 in H", "map B 16 in H 16", "map C 16 in H 32", "write A", "write B", "protect C read"]
LINES += ["protect B read", "drop C"]


def test_neighbours_are_one_vma_while_they_are_alike(engine: str) -> None:
    """They merge when mapped, part when their protections do, and join the next one on the other side."""
    text = "\n".join(["scenario s", "reserve H 64", *LINES])
    workload = lower(parse(text).scenarios[0], PAGE, 0).workload
    made = Computer(engine)
    seen = {}
    for row, (op, task, *arguments) in enumerate(workload.ops.tolist()):
        made.do(op, *arguments, task=task)
        inside = [vma for vma in made.vmas() if HOLE <= vma[0] < HOLE + 64 and vma[2]]
        seen[workload.line(row)] = [(start - HOLE, end - HOLE, prot) for start, end, prot in inside]
        made.check_tree()
    assert seen[3] == [(0, 16, 3)] and seen[4] == [(0, 32, 3)] and seen[5] == [(0, 48, 3)]
    assert seen[8] == [(0, 32, 3), (32, 48, 1)]
    assert seen[9] == [(0, 16, 3), (16, 48, 1)]
    assert seen[10] == [(0, 16, 3), (16, 32, 1)]
