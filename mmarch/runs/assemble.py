"""A machine for a workload: sizes, files, the roots of core-mm, and the engine that suits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import FunctionType

import numpy as np

from core_mm import uapi
from mmarch.engine.changes import Changes
from mmarch.engine.lower import Options
from mmarch.engine.machine import Config, Machine
from mmarch.engine.program import NotLinkable
from mmarch.errors import InputError
from mmarch.plugins.withhold import optional_hooks
from mmarch.runs.configure import Setup
from mmarch.scenario.emit import pmd_size
from mmarch.sizes import show_size
from mmarch.spill import pieces
from mmarch.workload import Workload

Note = Callable[[str], None]
ENGINES = ("auto", "interpreted", "linked")
# Operations and touched pages that take about as long to interpret as an image takes to link.
SMALL = 5000
MOST_FILE_PAGES = 1 << 27  # 512 GiB of 4 KiB pages


@dataclass(frozen=True)
class Request:
    """How to run: the engine, whether to attribute counts to hooks or to paths of calls, rows of log, runs of its like.

    `tlb_entries` is the size of a TLB that accesses go through, 0 for none.
    `sampled`: coverage over time and the steps of a scenario are part of the result.
    `madvise` enables the folio orders where MADV_HUGEPAGE asks for them, and for all shared memory.
    """

    engine: str = "auto"
    by_hook: bool = False
    by_call: bool = False
    log_rows: int = 0
    runs: int = 1
    sampled: bool = False
    madvise: bool = False
    tlb_entries: int = 0


def roots() -> list[FunctionType]:
    """Functions of core-mm that are called from outside."""
    from core_mm import syscalls

    return [
        function
        for function in (syscalls.boot, syscalls.run_operations)
        if isinstance(function, FunctionType)
    ]


def machine_config(setup: Setup, request: Request = Request()) -> Config:
    """What the engine is told."""
    chosen = setup.configuration
    orders = sum(1 << order for order in chosen.folio_orders)
    return Config(
        arch=setup.arch.descriptor,
        generic=setup.generic.descriptor,
        release=chosen.release,
        cpu=chosen.cpu,
        granule=chosen.granule,
        with_=frozenset(chosen.with_),
        without=frozenset(chosen.without),
        anon_orders=orders,
        memory=chosen.memory,
        log_rows=request.log_rows,
        tlb_entries=request.tlb_entries,
        shmem_orders=orders if request.madvise else 0,
        overrides={} if request.madvise else {"anon_always": orders},
        changes=Changes.together(one.changes for one in setup.applied),
    )


def assemble(setup: Setup, workload: Workload, request: Request, note: Note) -> Machine:
    """A booted machine with the workload in its memory; `note` gets a line for each surprise."""
    engine = choose_engine(workload, request)
    if engine == "linked":
        try:
            return _boot(setup, workload, "linked", request)
        except NotLinkable as error:
            if request.engine == "linked":
                raise InputError(f"--engine linked: {error}; use --engine interpreted") from error
            note(f"interpreting, because this does not link: {error}")
    return _boot(setup, workload, "interpreted", request)


def choose_engine(workload: Workload, request: Request) -> str:
    """ "interpreted" for small jobs, else "linked", unless one was asked for."""
    if request.engine != "auto":
        return request.engine
    return "linked" if _work(workload) * request.runs > SMALL else "interpreted"


def _work(workload: Workload) -> int:
    """Operations, and touched pages of a few operations."""
    if len(workload.ops) > SMALL:
        return len(workload.ops)
    touched = workload.ops[workload.ops[:, 0] == uapi.OP_TOUCH, 3]
    return len(workload.ops) + int(np.minimum(touched, 1 << 32).sum())


def _boot(setup: Setup, workload: Workload, engine: str, request: Request) -> Machine:
    machine = unbooted(
        machine_config(setup, request), workload, engine, roots(),
        Options(attribute=request.by_hook, calls=request.by_call),
        optional(setup) if engine == "linked" else (),
    )  # fmt: skip
    machine.memory.set("mach", "seed", setup.configuration.seed)
    return boot(machine)


def unbooted(
    config: Config,
    workload: Workload,
    engine: str,
    callable_roots: Sequence[FunctionType],
    options: Options = Options(),
    selectable: Sequence[str] = (),
) -> Machine:
    """A machine with the workload in its memory; InputError if this computer has no memory for it."""
    pages = file_pages(workload, 1 << config.arch.granules[config.granule].page_shift)
    try:
        machine = Machine(
            config,
            engine,
            callable_roots,
            operations=workload.ops,
            files=len(workload.files),
            file_pages=sum(pages),
            tasks=tasks(workload),
            options=options,
            selectable=selectable,
            huge=_work(workload) > SMALL,
        )
    except MemoryError:
        size = show_size(config.memory)
        raise InputError(
            f"this computer lacks the memory to simulate {size}; run with a smaller --memory"
        ) from None
    _place_files(machine, workload, pages)
    return machine


def boot(machine: Machine) -> Machine:
    """The same machine, booted; InputError if its memory is too small."""
    error = machine.call("boot")
    machine.forget_boot()
    if error:
        size = show_size(machine.config.memory)
        raise InputError(f"the machine does not boot with --memory {size} (error {error})")
    return machine


def optional(setup: Setup) -> tuple[str, ...]:
    """Hooks that an image can do with and without, so that one serves all of them withheld."""
    arch = setup.arch.descriptor.name
    own = {name: None for one in setup.applied if arch != "generic" for name in one.changes.of_arch(arch)}
    return tuple(dict.fromkeys([*optional_hooks(setup.arch), *own]))


def tasks(workload: Workload) -> int:
    """One more than the highest task index."""
    highest = 0
    for (ops,) in pieces(workload.ops):
        births = np.isin(ops[:, 0], (uapi.OP_FORK, uapi.OP_VFORK, uapi.OP_CLONE_VM))
        highest = max(highest, int(ops[:, 1].max()), int(ops[births, 2].max(initial=0)))
    return highest + 1


def file_pages(workload: Workload, page_size: int) -> list[int]:
    """Pages that each file needs at its largest; a folio of huge=always may reach behind its end."""
    largest = [file.size for file in workload.files]
    for (ops,) in pieces(workload.ops):
        for file, length in ops[ops[:, 0] == uapi.OP_FTRUNCATE, 2:4].tolist():
            largest[file] = max(largest[file], length)
        for file, offset, length in ops[ops[:, 0] == uapi.OP_PWRITE, 2:5].tolist():
            largest[file] = max(largest[file], offset + length)
        for file, _, offset, length in ops[ops[:, 0] == uapi.OP_FALLOCATE, 2:6].tolist():
            largest[file] = max(largest[file], offset + length)
    whole = [
        pmd_size(page_size) if file.kind == uapi.FILE_TMPFS_HUGE else page_size for file in workload.files
    ]
    pages = [-(-size // unit) * (unit // page_size) for size, unit in zip(largest, whole, strict=True)]
    if sum(pages) > MOST_FILE_PAGES:
        size, room = (show_size(count * page_size) for count in (sum(pages), MOST_FILE_PAGES))
        raise InputError(
            f"{workload.source or workload.name}: files of {size} in all; there is room for {room}"
        )
    return pages


def _place_files(machine: Machine, workload: Workload, pages: Sequence[int]) -> None:
    """Rows 1 … of the inodes."""
    inodes = machine.memory.tables["INODE"]
    first = 0
    for row, (file, room) in enumerate(zip(workload.files, pages, strict=True), 1):
        inodes["size"][row], inodes["kind"][row] = file.size, file.kind
        inodes["first"][row], inodes["pages"][row], inodes["nlink"][row] = first, room, 1
        first += room
    machine.memory.set("mach", "next_inode", len(pages) + 1)
    machine.memory.set("mach", "next_file_page", first)
