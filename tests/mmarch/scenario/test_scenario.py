"""The scenario language: what files mean."""

from pathlib import Path

import numpy as np
import pytest

from core_mm import uapi
from mmarch.errors import InputError
from mmarch.scenario import load, lower, parse, variants

ROOT = Path(__file__).parents[3]
EXAMPLES = sorted((ROOT / "examples" / "scenarios").glob("*.scn"))
PAGE = 4096
PMD = 2 << 20
FIRST = 0x200000000


def rows(text, order=0, page_size=PAGE, number=0):
    """The operations of a scenario as (op, task, arguments) tuples."""
    scenario = parse(text).scenarios[number]
    return [tuple(int(v) for v in row) for row in lower(scenario, page_size, order).workload.ops]


def body(text, order=0, page_size=PAGE):
    """The operations of one scenario after the first task's."""
    return rows(f"scenario t\n{text}", order, page_size)[1:]


def test_a_region_is_a_pmd_aligned_hole_between_guards_of_one_pmd():
    """The recording program's layout: guard, hole, guard, and four PMDs more before the next region."""
    fixed = uapi.MAP_PRIVATE | uapi.MAP_ANONYMOUS | uapi.MAP_FIXED
    guard_a, map_a, advise_a, guard_b, *_ = body("map A 3\nmap B pmd")
    assert guard_a[:6] == (uapi.OP_MMAP, 0, FIRST, 3 * PAGE + 2 * PMD, 0, fixed | uapi.MAP_NORESERVE)
    assert map_a[:7] == (uapi.OP_MMAP, 0, FIRST + PMD, 3 * PAGE, 3, fixed, -1)
    assert advise_a[:5] == (uapi.OP_MADVISE, 0, FIRST + PMD, 3 * PAGE, uapi.MADV_NOHUGEPAGE)
    assert guard_b[2] == FIRST + 5 * PMD  # rounded up from the end of A plus four PMDs


def test_the_enabled_order_decides_the_advice():
    """Order 0 opts out of huge pages, any other opts in; a mapping can leave the advice out."""
    assert body("map A 1", order=4)[2][4] == uapi.MADV_HUGEPAGE
    assert len(body("map A 1 advised huge", order=0)) == 2
    assert body("map A 1 advised huge", order=4)[2][4] == uapi.MADV_HUGEPAGE
    assert len(body("map A 1 advised none", order=4)) == 2


def test_short_and_long_forms_are_the_same_operations():
    """Every one-letter line has a readable equivalent."""
    short = (
        "m A 64\nR B 32\nw A 0 64\nr A 3 1\nd A 0 16\nf A 16 8\nc A 24 1\n"
        "p A 0 4 1\nu A 60 4\nv A 8 4 B 2\nk\nK w A 0 1\nx\nE"
    )
    long = (
        "map A 64 pages\nreserve B 32\nwrite A 0..64\nread A 3 1\ndontneed A 0 16\nfree A 16..24\ncold A 24 1\n"
        "protect A 0 4 read\nunmap A 60 4\nmove A 8 4 to B 2\nfork\nchild: write A 0 1\nreap\nend"
    )
    assert body(short) == body(long)
    assert len({row[0] for row in body(short)}) == 8  # mmap madvise touch mprotect munmap mremap fork exit


@pytest.mark.parametrize(
    ("amount", "page_size", "pages"),
    [("16", 4096, 16), ("64 KiB", 4096, 16), ("64KiB", 16384, 4), ("2 MiB", 4096, 512), ("block", 16384, 128),
     ("pmd", 16384, 2048), ("8*block+3", 4096, 131), ("pmd/2+5", 4096, 261), ("min(9000,8192)", 4096, 8192),
     ("(1+2)*block", 4096, 48), ("max(3,2)-1 pages", 4096, 2)],
)  # fmt: skip
def test_amounts(amount, page_size, pages):
    """Pages, units and the sizes that depend on the page size."""
    assert body(f"map A {amount}", page_size=page_size)[1][3] == pages * page_size


def test_each_line_is_a_step_named_after_it():
    """A scenario without named steps measures every operation and dumps the regions concerned."""
    text = "S x 0\nm A 8\nR B 8\nw A 0 8  # note\nk\nK w A 1 1\nK v A 2 1 B 3\nx\nE"
    workload = lower(parse(text).scenarios[0], PAGE, 0).workload
    found = [(step.label, [dump.label for dump in step.dumps]) for step in workload.steps]
    assert found == [
        ("000 m A 8", []),
        ("002 w A 0 8", ["002 w A 0 8.A"]),
        ("003 k", ["003 k.A", "003 k.B"]),
        ("004 K w A 1 1", ["004 K w A 1 1 child.A"]),
        ("005 K v A 2 1 B 3", ["005 K v A 2 1 B 3.A", "005 K v A 2 1 B 3 child.B"]),
        ("006 x", ["006 x.A", "006 x.B"]),
    ]
    assert [step.dumps[0].task for step in workload.steps[1:]] == [0, 0, 1, 1, 0]


def test_named_steps_measure_only_what_is_meant():
    """The guard before a mapping and the advice after it are outside the step; setup lines are no steps."""
    text = "scenario t\nstep map: map A 8\nsetup: write A\nstep w: write A\ndump d: A 2 3"
    lowered = lower(parse(text).scenarios[0], PAGE, 4)
    first, second = lowered.workload.steps
    assert (first.first, first.last) == (2, 3)  # spawn, guard, mmap
    assert lowered.workload.ops[first.first][0] == uapi.OP_MMAP
    assert second.label == "w" and second.dumps[0].label == "d"
    assert (second.dumps[0].addr, second.dumps[0].length) == (FIRST + PMD + 2 * PAGE, 3 * PAGE)


def test_a_child_reserves_where_its_parent_would_have():
    """Two children of one parent place their regions at the same address; the parent's next one too."""
    text = "fork\nas child\nmap A 1\nreap\nfork\nchild: map B 1\nreap\nmap C 1"
    starts = [row[2] for row in body(text) if row[0] == uapi.OP_MMAP and row[4] == uapi.PROT_NONE]
    tasks = [row[1] for row in body(text) if row[0] == uapi.OP_MMAP and row[4] == uapi.PROT_NONE]
    assert starts == [FIRST] * 3
    assert tasks == [1, 2, 0]


def test_files_keep_their_kind_and_are_filled_in_chunks():
    """A kind of the scenario can stand for the file's kind; one write covers at most 2 MiB."""
    text = (
        "scenario t\nkinds tmpfs tmpfs_huge_always\nfile F kind\ntruncate F pmd\nfill F pmd by folio\n"
        "map A pmd of F shared read\nmsync A\nunlink F"
    )
    scenario = parse(text).scenarios[0]
    plain, huge = (lower(scenario, 16384, 11, kind).workload for kind in scenario.kinds)
    assert (plain.files[0].kind, huge.files[0].kind) == (uapi.FILE_TMPFS, uapi.FILE_TMPFS_HUGE)
    write = next(row for row in plain.ops.tolist() if row[0] == uapi.OP_PWRITE)
    assert write[2:6] == [0, 0, 32 << 20, 2 << 20]
    mapped = next(row for row in plain.ops.tolist() if row[0] == uapi.OP_MMAP and row[4] == uapi.PROT_READ)
    assert mapped[5:7] == [uapi.MAP_SHARED | uapi.MAP_FIXED, 0]


def test_anonymous_shared_memory_has_a_file_of_its_own():
    """Such a mapping names a shmem file of its length."""
    workload = lower(parse("scenario t\nmap A 64KiB shared").scenarios[0], PAGE, 0).workload
    assert workload.files[0].kind == uapi.FILE_SHMEM and workload.files[0].size == 64 << 10
    assert workload.ops[-1].tolist()[5] == uapi.MAP_SHARED | uapi.MAP_ANONYMOUS | uapi.MAP_FIXED


def test_loops_take_the_values_of_the_page_size():
    """Labels and amounts use the variable."""
    text = (
        "scenario t\nlist n 4K 1 2\nlist n 16K 7\nsetup: map A 16\nfor i in n\nstep w_{i}: write A 0 i\ndone"
    )
    scenario = parse(text).scenarios[0]
    assert [s.label for s in lower(scenario, 4096, 0).workload.steps] == ["w_1", "w_2"]
    assert [s.label for s in lower(scenario, 16384, 0).workload.steps] == ["w_7"]


def test_rows_know_their_lines():
    """Each row carries the line it came from."""
    workload = lower(parse("scenario t\n\nmap A 4\nwrite A").scenarios[0], PAGE, 0).workload
    assert workload.lines.tolist() == [0, 3, 3, 3, 4]
    assert workload.ops.dtype == np.int64


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
@pytest.mark.parametrize("page_size", [4096, 16384])
def test_examples_lower_at_every_order(path, page_size):
    """Every example parses and can be lowered; its measured slices are within its rows."""
    for scenario in load(path).scenarios:
        for order in scenario.orders or (0, 4, 9):
            for kind in scenario.kinds:
                workload = lower(scenario, page_size, order, kind).workload
                assert all(0 < s.first <= s.last <= len(workload.ops) for s in workload.steps)
                assert len(workload.steps) > 0


def test_variants_are_the_orders_and_kinds_a_scenario_is_for():
    """Any order means contpte-sized folios; a scenario for some orders refuses others."""
    anyone, some = parse("scenario a\nkinds x y\nmap A 1\nscenario b\norders 0 9\nmap A 1").scenarios
    assert variants(anyone, 4096) == [(4, "x"), (4, "y")]
    assert variants(anyone, 16384)[0] == (7, "x")
    assert variants(anyone, 4096, 2) == [(2, "x"), (2, "y")]
    assert variants(some, 4096) == [(0, "anon"), (9, "anon")]
    with pytest.raises(InputError, match="meant for order 0, 9, not 4"):
        variants(some, 4096, 4)


def test_the_examples_in_the_reference_are_valid():
    """Each block of the language's page parses and lowers for both page sizes."""
    blocks = (ROOT / "docs" / "reference" / "scenarios.md").read_text().split("```\n")[1::2]
    assert len(blocks) == 6
    for block in blocks:
        for scenario in parse(block).scenarios:
            for page_size in (4096, 16384):
                assert lower(scenario, page_size, 4).workload.steps


def test_several_children():
    """Named children are tasks of their own; `child` is the one without a name; a child may fork."""
    text = "map A 8\nfork\nfork b\nb: write A 0 1\nK write A 1 1\nas b\nfork c\nwrite A 2 1\n"
    found = body(text + "as c\nwrite A 3 1\nreap c\nwrite A 4 1\nreap b\nreap")[3:]
    fork, touch, leave = uapi.OP_FORK, uapi.OP_TOUCH, uapi.OP_EXIT
    who = [(op, task) for op, task, *_ in found]
    assert [row[2] for row in found if row[0] == fork] == [1, 2, 3]
    assert who == [
        (fork, 0), (fork, 0), (touch, 2), (touch, 1), (fork, 2), (touch, 2), (touch, 3), (leave, 3), (touch, 0),
        (leave, 2), (leave, 1),
    ]  # fmt: skip


def test_threads_share_the_regions():
    """A thread is a task of its own whose regions are those of the process, also such as come later."""
    found = body("map A 8\nthread T\nmap B 8\nT: write B 0 1\nT: unmap A 0 8\nreap T")[3:]
    clone, leave = uapi.OP_CLONE_VM, uapi.OP_EXIT
    assert [(row[0], row[1]) for row in found if row[0] in (clone, leave)] == [(clone, 0), (leave, 1)]
    assert [row[1] for row in found if row[0] in (uapi.OP_TOUCH, uapi.OP_MUNMAP)] == [1, 1]


def test_dumps_say_which_child():
    """The name follows the step's label; a dump may name its child itself."""
    text = "scenario t\nmap A 8\nfork b\nb: write A 0 1\nfork\nchild: write A 0 1\ndump x: b: A"
    steps = lower(parse(text).scenarios[0], PAGE, 0).workload.steps
    assert [dump.label for dump in steps[2].dumps] == ["002 b: write A 0 1 b.A"]
    assert [(dump.label, dump.task) for dump in steps[4].dumps] == [
        ("004 child: write A 0 1 child.A", 2),
        ("x", 1),
    ]


def test_regions_in_a_hole_have_no_guards_of_their_own():
    """Mapped at their place in it; drop unmaps their pages alone, end and the hole's drop leave them to the hole."""
    hole, _, _, b, *_ = made = body("reserve H 64\nmap A 16 in H\nmap B 16 in H 16\nwrite B 1 2\ndrop B\nend")
    first = FIRST + PMD
    assert [row[2:4] for row in made if row[0] == uapi.OP_MMAP] == [
        (FIRST, 64 * PAGE + 2 * PMD), (first, 16 * PAGE), (first + 16 * PAGE, 16 * PAGE),
    ]  # fmt: skip
    assert b[6] == -1 and hole[4] == 0
    assert [row[2:4] for row in made if row[0] == uapi.OP_TOUCH] == [(first + 17 * PAGE, 2)]
    whole = (FIRST, 64 * PAGE + 2 * PMD)
    assert [row[2:4] for row in made if row[0] == uapi.OP_MUNMAP] == [(first + 16 * PAGE, 16 * PAGE), whole]
    dropped = body("reserve H 64\nmap A 16 in H\ndrop H\nmap A 16\nend")
    assert next(row[2:4] for row in dropped if row[0] == uapi.OP_MUNMAP) == whole
    assert body("reserve H 64\nmap A 16 in H\nanchor A")[3][2] == FIRST


def test_a_file_in_a_hole():
    """Whatever map can map."""
    made = body("file F tmpfs 16\nreserve H 64\nmap A 16 of F shared read in H 48")
    assert made[1][2:7] == (FIRST + PMD + 48 * PAGE, 16 * PAGE, 1, uapi.MAP_SHARED | uapi.MAP_FIXED, 0)


def test_dontunmap():
    """MREMAP_DONTUNMAP beside the flags of a move, with and without an offset."""
    moves = body("map A 16\nmap B 16\nmove A to B dontunmap\nmove A 0 4 to B 8 dontunmap\nmove A to B")[-3:]
    assert [(row[5], row[6] - FIRST - 6 * PMD) for row in moves] == [(7, 0), (7, 8 * PAGE), (3, 0)]


def test_fallocate():
    """The kernel's modes by their names; a hole leaves the size as it is."""
    made = body("file F tmpfs\nfallocate F 0 16\nfallocate F 16 64K keep_size\nfallocate F block 4 punch_hole")
    assert [row[2:6] for row in made] == [
        (0, 0, 0, 16 * PAGE), (0, 1, 16 * PAGE, 16 * PAGE), (0, 3, 16 * PAGE, 4 * PAGE),
    ]  # fmt: skip
    assert {row[0] for row in made} == {uapi.OP_FALLOCATE}
