"""One machine: an architecture, a release, a CPU, memory, and an engine that runs operations on it."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import CodeType, FunctionType, ModuleType, SimpleNamespace
from typing import cast

import numpy as np
import pluggy
from numpy.typing import NDArray

import core_mm.calls
import core_mm.features
import core_mm.mm_types
import core_mm.vmstat
from core_mm import hookspecs, releases, uapi
from core_mm.descriptor import ArchDescriptor
from core_mm.feature import Features
from mmarch import cpus
from mmarch.engine import hanging
from mmarch.engine.bind import Binder
from mmarch.engine.changes import Changes
from mmarch.engine.code import Code
from mmarch.engine.hookimpls import implementations
from mmarch.engine.layout import Layout
from mmarch.engine.link import Image, link
from mmarch.engine.lower import Options
from mmarch.engine.memory import Memory
from mmarch.engine.relay import blame, guard, relay_hook
from mmarch.engine.stopping import Stopped
from mmarch.environment import QUICK_LINK
from mmarch.errors import PluginError

_images: dict[object, Image] = {}
CALLS = 256  # times HOOKS rows for paths of calls, in images that tell them apart


@dataclass(frozen=True)
class Config:
    """What a run fixes. Orders are bit masks of enabled anonymous folio orders.

    with_    features beyond those of the release
    without  hooks that the architecture does without, and features that the release does
    changes  of the patch series that are applied
    """

    arch: ArchDescriptor
    generic: ArchDescriptor
    release: str = releases.DEFAULT_RELEASE
    cpu: str = ""
    granule: str = ""
    with_: frozenset[str] = frozenset()
    without: frozenset[str] = frozenset()
    anon_orders: int = 0
    shmem_orders: int = 0
    memory: int = 16 << 30  # bytes of simulated RAM
    log_rows: int = 0
    seen: int = 0  # length of what core_mm.observe writes to
    swap_bytes: int = 256 << 20
    tlb_entries: int = 0
    overrides: Mapping[str, int] = field(default_factory=dict)  # values of cfg, for tests
    changes: Changes = field(default_factory=Changes)

    @cached_property
    def hooks(self) -> dict[str, FunctionType]:
        """Every hook with its declaration: core-mm's, then those of series."""
        return {**{name: getattr(hookspecs, name) for name in hookspecs.HOOKS}, **self.changes.hooks}


def declared_modules(archs: Sequence[ArchDescriptor]) -> list[ModuleType]:
    """Modules that may declare memory: core-mm's, and those of the architectures' packages."""
    modules: list[ModuleType] = [core_mm.mm_types, core_mm.features]
    for arch in archs:
        for name in arch.modules:
            importlib.import_module(name)
        packages = tuple({f"{name.rpartition('.')[0] or name}." for name in arch.modules})
        own = set(arch.modules)
        names = [name for name in sys.modules if name in own or name.startswith(packages)]
        modules += [sys.modules[name] for name in sorted(names)]
    unique = {module.__name__: module for module in modules if not module.__name__.startswith("core_mm.hook")}
    return list(unique.values())


class Machine:
    """Memory plus one engine.

    engine     "linked" or "interpreted"
    roots      functions of core_mm that may be called from outside
    memory     of another machine with the same architecture, to go on with
    overlays   extra pluggy plugins (a tracer, the sanitizer); interpreted only
    huge       memory in huge pages, which much work is worth: each costs as much to clear as 512 small ones
    """

    def __init__(
        self,
        config: Config,
        engine: str,
        roots: Sequence[FunctionType],
        operations: NDArray[np.int64] | None = None,
        files: int = 0,
        file_pages: int = 0,
        tasks: int = 64,
        overlays: Sequence[object] = (),
        options: Options = Options(),
        selectable: Sequence[str] = (),
        memory: Memory | None = None,
        huge: bool = False,
    ) -> None:
        self.config, self.engine, self.roots = config, engine, list(roots)
        archs = [config.generic] if config.arch.name == config.generic.name else [config.generic, config.arch]
        self.defaults = {**implementations(config.generic), **config.changes.of_arch(config.generic.name)}
        self.own = self.defaults
        if config.arch.name != config.generic.name:
            self.own = {**implementations(config.arch), **config.changes.of_arch(config.arch.name)}
        self.selectable = sorted(set(selectable) & set(self.own) & set(self.defaults))
        withheld = set() if self.selectable else set(config.without)
        self.winners = {**self.defaults, **{n: f for n, f in self.own.items() if n not in withheld}}
        self.layout = Layout.of([*declared_modules(archs), *config.changes.modules], config.hooks)
        rows = 0 if operations is None else len(operations)
        lengths = sizes(config, rows, files, file_pages, tasks, options.calls)
        self.memory = memory or Memory(self.layout, lengths, huge=huge)
        if not memory:
            self._configure(lengths)
        if operations is not None and rows:
            self.memory.load("ops", operations.reshape(-1))
        self._image: Image | None = None
        if engine == "linked":
            self._image = self._link(options)
        else:
            self._interpret(archs, overlays)

    def call(self, name: str, *arguments: int) -> int:
        """Run a root."""
        if self._image is not None:
            try:
                return self._image.call(name, self.memory, *arguments)
            except Stopped as stopped:
                raise self._endless(name, stopped.seconds, self._where(name, arguments)) from None
        try:
            with hanging.watched(self._plugins):
                return self._interpreted(name, arguments)
        except hanging.Hung as hung:
            self._binder.store()  # which operation it is
            raise self._endless(name, *hung.args) from None
        except Exception as error:
            blamed = blame(error, self._hook_codes, self._packages)
            if blamed is None:
                raise
            raise blamed from error
        finally:
            self._binder.store()

    def _interpreted(self, name: str, arguments: tuple[int, ...]) -> int:
        self._binder.load()
        return int(self._functions[name](*arguments))

    def _endless(self, name: str, seconds: float, where: str) -> PluginError:
        """What to say of code that was stopped."""
        row, what = self.memory.get("mach", "op"), name
        if name == "run_operations":
            code = int(self.memory.arrays["ops"][row * uapi.COLUMNS])
            what = f"operation {row} ({uapi.OP_NAMES.get(code, code)})"
        series = ", ".join(sorted(set(self.config.changes.owner.values())))
        who = f"arch {self.config.arch.name}{' with ' if series else ''}{series}"
        return PluginError(
            "MM024", f"{who} does not come to an end: {what} ran for {seconds:.0f} s{where}; "
            "if it only needs longer, allow that with MMARCH_HANG=SECONDS",
        )  # fmt: skip

    def _where(self, name: str, arguments: tuple[int, ...]) -> str:
        """Where linked code was stopped, as far as running the operation once more shows it."""
        row, hook = self.memory.get("mach", "op"), self.memory.get("mach", "hook")
        again = Machine(self.config, "interpreted", self.roots, memory=self.memory)
        if name == "run_operations":
            arguments = (row, row + 1)
        found = hanging.place(lambda: again._interpreted(name, arguments), self._plugins)
        return found or (f" in {self.layout.hooks[hook - 1]}" if hook else "")

    @cached_property
    def _plugins(self) -> set[str]:
        """Packages whose functions are hooks or replace core-mm's."""
        return self.packages([self.config.generic, self.config.arch]) - {"core_mm"}

    def counts(self) -> NDArray[np.int64]:
        """Counters as [operation][hook][event]."""
        shape = (-1, core_mm.vmstat.HOOKS, core_mm.vmstat.EVENTS)
        return self.memory.arrays["counters"].reshape(shape)

    def forget_boot(self) -> None:
        """Drop what booting counted, which is no operation; rows that it has not touched cost no memory."""
        counters, row = self.memory.arrays["counters"], core_mm.vmstat.EVENTS
        counters[: core_mm.vmstat.HOOKS * row] = 0
        counters[core_mm.calls.ROOTS * row : self.memory.get("mach", "next_call") * row] = 0

    def total(self, event: int | str) -> int:
        """One event over all operations and hooks."""
        names = (*core_mm.vmstat.NAMES, *[""] * (core_mm.vmstat.ARCH_EVENT - len(core_mm.vmstat.NAMES)))
        known = (*names, *self.config.arch.events, *self.config.changes.events)
        index = event if isinstance(event, int) else known.index(event)
        return int(self.counts()[:, :, index].sum())

    def overridden(self, hook: str) -> bool:
        """Whether the architecture has one of its own, and is not made to do without."""
        own = self.own.get(hook)
        return own is not None and own is not self.defaults.get(hook) and hook not in self.config.without

    def _link(self, options: Options) -> Image:
        """The image; the one of a machine with the same code is used again."""
        options = replace(options, quick=options.quick or bool(os.environ.get(QUICK_LINK)))
        roots = (*self.roots, *([cast(FunctionType, core_mm.calls.enter)] if options.calls else []))
        defaults = {name: self.defaults[name] for name in self.selectable}
        code = Code(roots, self.winners, defaults, self.config.changes.replaced)
        key = (
            tuple(code.names()),
            options,
            self.layout.text,
        )
        if key not in _images or options.checked:
            _images[key] = link(code, self.layout, options)
        return _images[key]

    # -- interpreted engine --------------------------------------------------------

    def _interpret(self, archs: Sequence[ArchDescriptor], overlays: Sequence[object]) -> None:
        self.plugins = pluggy.PluginManager(hookspecs.PROJECT)
        self.plugins.add_hookspecs(
            type("Hooks", (), {n: staticmethod(f) for n, f in self.config.hooks.items()})
        )
        self._know_code(archs)
        relay: dict[str, Callable[..., int]] = {}
        self._binder = Binder(self.memory, self.packages(archs), relay, self.config.changes.replaced)
        group, counters = self._binder._group("mach"), memoryview(self.memory.arrays["counters"])  # type: ignore[arg-type]
        for name in self.config.hooks:
            relay[name] = relay_hook(self.plugins, name, self.layout.hook_number(name), group, counters)
        for arch in archs:
            kept = self._kept(arch is archs[0])
            bound = {n: guard(n, arch.name, f, self._binder.function(f)) for n, f in kept.items()}
            self.plugins.register(SimpleNamespace(**bound), name=arch.name)
        for overlay in overlays:
            self.plugins.register(overlay)
        self.plugins.check_pending()
        self._functions = {root.__name__: self._binder.function(root) for root in self.roots}

    def _kept(self, generic: bool) -> dict[str, FunctionType]:
        """Hooks of the generic architecture, or those of its own that a machine has."""
        own = self.defaults if generic else self.own
        return {n: f for n, f in own.items() if generic or n not in self.config.without}

    def _know_code(self, archs: Sequence[ArchDescriptor]) -> None:
        """Whose each function is that may raise."""
        owner = self.config.changes.owner
        self._hook_codes: dict[CodeType, str] = {
            f.__code__: f"{f.__name__} of series {name}" for f, name in owner.items()
        }
        for arch in archs:
            kept = self._kept(arch is archs[0]).items()
            self._hook_codes |= {
                f.__code__: f"hook {n} of plugin {arch.name}" for n, f in kept if f not in owner
            }
        self._packages = [
            *(name for arch in archs for name in arch.modules),
            *(module.__name__ for module in self.config.changes.modules),
        ]

    def packages(self, archs: Sequence[ArchDescriptor]) -> set[str]:
        """Those whose code is bound to this machine."""
        names = [*(name for arch in archs for name in arch.modules)]
        names += [module.__name__ for module in self.config.changes.modules]
        return {"core_mm"} | {name.partition(".")[0] for name in names}

    # -- configuration ---------------------------------------------------------------

    def _configure(self, lengths: Mapping[str, int]) -> None:
        memory, config = self.memory, self.config
        arch = config.arch
        geometry = arch.granules[config.granule or arch.default_granule]
        pmd_shift = geometry.page_shift + geometry.pte_bits
        page = 1 << geometry.page_shift
        values = {
            "page_shift": geometry.page_shift, "page_size": page,
            "ptrs_per_pte": 1 << geometry.pte_bits, "pte_bits": geometry.pte_bits,
            "pmd_shift": pmd_shift, "pmd_size": 1 << pmd_shift, "pmd_order": geometry.pte_bits,
            "levels": geometry.levels,
            "cont_ptes": geometry.cont_ptes, "cont_shift": geometry.cont_ptes.bit_length() - 1,
            "memory_pages": config.memory >> geometry.page_shift,
            "anon_orders": config.anon_orders, "shmem_orders": config.shmem_orders,
            "fault_around_bytes": 65536, "swap_slots": config.swap_bytes >> geometry.page_shift,
            "log_capacity": config.log_rows, "seen_capacity": config.seen, "smp": 1, "tlb_entries": config.tlb_entries,
            "max_gather_batch": (page - 16) // 8, "max_gather_batch_count": 10000 // ((page - 16) // 8),
            "max_table_batch": (page - 24) // 8,
            "max_tables": len(memory.tables["PTDESC"]), "max_batches": len(memory.tables["BATCH"]),
            "withheld": sum(1 << i for i, n in enumerate(self.selectable) if n in config.without),
            "have_arch_unmap_one": int(self.overridden("arch_unmap_one")),
            **{f"nr_{name}": lengths[name] for name in ("vmas", "mms", "tasks", "inodes", "file_pages", "calls")},
            **config.overrides,
        }  # fmt: skip
        for name, value in values.items():
            memory.set("cfg", name, value)
        if arch.cpu_scalars:
            for name, value in cpus.find(arch, config.cpu).features.items():
                memory.set(arch.cpu_scalars.__name__, name, value)
        own = core_mm.vmstat.ARCH_EVENT + len(arch.events)
        numbers = {name: own + number for number, name in enumerate(config.changes.events)}
        for group, names in config.changes.events_of.items():
            for name in names:
                memory.set(group, name, numbers[name])
        for table in tables(config):
            present = (
                releases.features(config.release, table.table.values()) | config.with_
            ) - config.without
            for name in table.names:
                memory.set(table.__name__, name, int(name in present))


def tables(config: Config) -> list[type[Features]]:
    """Tables of features: core-mm's, and those of the architectures."""
    archs = [config.generic] if config.arch.name == config.generic.name else [config.generic, config.arch]
    return [core_mm.features.feature, *(arch.features for arch in archs if arch.features)]


def sizes(
    config: Config, rows: int, files: int, file_pages: int, tasks: int, calls: bool = False
) -> dict[str, int]:
    """Rows of every named size; only what is touched costs memory."""
    geometry = config.arch.granules[config.granule or config.arch.default_granule]
    frames = config.memory >> geometry.page_shift
    entries = 1 << geometry.pte_bits
    tables = max(4096, (frames // entries) * 4 + 64 * tasks)
    batch = ((1 << geometry.page_shift) - 16) // 8
    return {
        "frames": frames + 1, "tables": tables, "ptes": tables * entries,
        "vmas": 1 << 20, "mms": tasks + 8, "tasks": tasks + 1, "anon_vmas": 1 << 20, "avcs": 1 << 21,
        "inodes": 2 * files + 4096, "file_pages": file_pages + (1 << 24), "gathers": 64, "batches": 4096,
        "slots": 4096 * (batch + 520), "orders": 32, "swap": (config.swap_bytes >> geometry.page_shift) + 2,
        "tlb": max(1, config.tlb_entries), "log": config.log_rows + 1, "seen": config.seen + 1,
        "recent": core_mm.calls.RECENT_MASK + 1 if calls else 1,
        "calls": CALLS * core_mm.vmstat.HOOKS if calls else 1,
        "counters": (CALLS if calls else 32) * core_mm.vmstat.HOOKS * core_mm.vmstat.EVENTS,
        "ops": rows * uapi.COLUMNS + 1, "results": rows + 1,
    }  # fmt: skip
