"""Compile a program with LLVM and keep the image in a cache named by everything it came from."""

from __future__ import annotations

import ctypes
import hashlib
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite
import platformdirs

from mmarch.engine.layout import Layout
from mmarch.engine.lower import Options, lower
from mmarch.engine.memory import Memory
from mmarch.engine.program import Program

Entry = Callable[..., int]
_CODE_VERSION = 1


def cache_dir() -> Path:
    """Where images are kept: $MMARCH_CACHE_DIR, else the user's cache directory."""
    chosen = os.environ.get("MMARCH_CACHE_DIR")
    return Path(chosen) if chosen else Path(platformdirs.user_cache_dir("mmarch"))


class Image:
    """Linked code: each root is callable with the memory of a machine."""

    def __init__(self, program: Program, blob: bytes) -> None:
        import llvmlite.binding as llvm

        self._engine = _engine(llvm)
        self._engine.add_object_file(llvm.ObjectFileRef.from_data(blob))
        self._engine.finalize_object()
        self._entries: dict[str, Entry] = {}
        for root in program.roots:
            name, count = root.function.__name__, len(root.parameters)
            kind = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, *[ctypes.c_int64] * count)
            self._entries[name] = kind(self._engine.get_function_address(name))

    def call(self, name: str, memory: Memory, *arguments: int) -> int:
        """Run a root on one machine."""
        return int(self._entries[name](memory.root.ctypes.data, *arguments))


def digest(program: Program, layout: Layout, options: Options) -> str:
    """A name that changes with any source, winner, layout, option or tool version."""
    parts = [
        *program.sources(),
        *(root.symbol for root in program.roots),
        *(f"{name}={f.__module__}.{f.__qualname__}" for name, f in sorted(program.winners.items())),
        *(f"{name}~{f.__module__}.{f.__qualname__}" for name, f in sorted(program.defaults.items())),
        *_own_sources(),
        repr((layout.arrays, layout.scalars, layout.hooks)),
        repr({name: (p.root, p.stride, p.offsets) for name, p in layout.tables.items()}),
        repr(options), sys.version, llvmlite.__version__, str(_CODE_VERSION), _host_cpu(),
    ]  # fmt: skip
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]


def link(
    program: Program,
    layout: Layout,
    options: Options = Options(),
    progress: Callable[[str], None] = lambda _: None,
) -> Image:
    """The image of `program`, from the cache or compiled now; `progress` gets one line if compiled."""
    path = cache_dir() / "images" / f"{digest(program, layout, options)}.o"
    try:
        return Image(program, path.read_bytes())
    except OSError:
        pass
    progress(f"linking {len(program.routines)} functions …")
    blob = compile_object(lower(program, layout, options), optimize=not options.checked)
    _store(path, blob)
    return Image(program, blob)


def compile_object(assembly: str, optimize: bool = True) -> bytes:
    """Machine code for this host, as an object file."""
    import llvmlite.binding as llvm

    machine = _target(llvm)
    module = llvm.parse_assembly(assembly)
    module.triple, module.data_layout = machine.triple, str(machine.target_data)
    tuning = llvm.create_pipeline_tuning_options(speed_level=3 if optimize else 1)
    builder = llvm.create_pass_builder(machine, tuning)
    builder.getModulePassManager().run(module, builder)
    return bytes(machine.emit_object(module))


def _store(path: Path, blob: bytes) -> None:
    """Write the image whole or not at all; a cache that cannot be written is no error."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(blob)
        os.replace(file.name, path)
    except OSError:
        return


def _own_sources() -> list[str]:
    here = Path(__file__).parent
    return [(here / name).read_text(encoding="utf-8") for name in ("lower.py", "layout.py", "link.py")]


def _host_cpu() -> str:
    import llvmlite.binding as llvm

    return str(llvm.get_host_cpu_name())


def _target(llvm: Any) -> Any:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_default_triple()
    features = llvm.get_host_cpu_features().flatten()
    return target.create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=features, opt=2, reloc="pic", codemodel="small"
    )


def _engine(llvm: Any) -> Any:
    machine = _target(llvm)
    empty = llvm.parse_assembly("")
    empty.triple = machine.triple
    return llvm.create_mcjit_compiler(empty, machine)
