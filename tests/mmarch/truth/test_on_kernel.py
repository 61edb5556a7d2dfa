"""Random programs on a kernel, without one: what it lacks the programs for is left out and counted."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from mmarch.kernel.guest_has import Guest, Lacks, lacking
from mmarch.kernel.program import Program
from mmarch.scenario import Document, lower, parse
from mmarch.truth.on_kernel import Bench, Found, search
from mmarch.truth.random_programs import program
from mmarch.truth.validate import Report

BARE = Guest(page_size=4096, folio_orders=set(range(2, 10)))


def needs(text: str) -> str:
    """What a kernel without modules lacks for a scenario."""
    scenario = parse(text).scenarios[0]
    order = (scenario.orders or (0,))[0]
    return lacking(Program(lower(scenario, 4096, order).workload, order), BARE)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("map A 4\nwrite A", ""),
        ("map A 4\npageout A", "swap"),
        ("map A 4 shared\npageout A", "swap"),
        ("file F tmpfs 4\nmap A 4 of F shared read write\npageout A", "swap"),
        ("file F ramfs 4\nmap A 4 of F private read write\npageout A", "swap"),
        ("file F ramfs 4\nmap A 4 of F private read\npageout A", ""),
        ("file F ext4 4\nmap A 4 of F shared read write\npageout A", "an ext4 file system"),
        ("map A 4\nage", "the multi-gen LRU"),
    ],
)
def test_what_programs_need(lines: str, said: str) -> None:
    """Reclaim swaps whatever is on no disk: private copies of a file's pages, and all of tmpfs."""
    assert needs(f"scenario s order 0\n{lines}\nend\n").partition(" (")[0] == said


def test_an_order_that_is_not_there() -> None:
    """Order 10 is none that Linux offers."""
    workload = lower(parse("scenario s order 9\nmap A 4\nend\n").scenarios[0], 4096, 9).workload
    assert lacking(Program(workload, 10), BARE).startswith("folios of order 10 ")


def test_programs_that_a_kernel_cannot_run_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are counted by what they need; the others are measured in a boot without them."""
    boots = []

    def compare(self: Bench, documents: list[Document], progress: object = None) -> tuple[Report, SimpleNamespace]:
        names = [document.scenarios[0].name for document in documents]
        boots.append(names)
        if lacks := {name: needs(texts[name]) for name in names if needs(texts[name])}:
            raise Lacks("lacking", lacks)
        return Report(()), SimpleNamespace(ran=())

    texts = {f"random_7_{number}": program(7, number) for number in range(40)}
    monkeypatch.setattr(Bench, "compare", compare)
    bench, found = Bench(SimpleNamespace(image=SimpleNamespace(page_size=4096)), None, None), Found()  # type: ignore[arg-type] # no kernel is booted
    search(bench, 40, 7, time.monotonic() + 600, found, lambda done, total: None)
    fitting = [name for name, text in texts.items() if not needs(text)]
    assert boots == [list(texts), fitting] and found.programs == len(fitting) > 0
    assert sum(found.lacking.values()) == 40 - len(fitting) and len(found.lacking) == 2
