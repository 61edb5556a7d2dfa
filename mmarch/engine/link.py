"""Compile a program with LLVM and keep the image in a cache named by everything it came from."""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import re
import sys
import tempfile
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import llvmlite

from mmarch.cache import cache_dir
from mmarch.engine.code import Code
from mmarch.engine.layout import Layout
from mmarch.engine.lower import Options, lower
from mmarch.engine.memory import Memory
from mmarch.engine.program import NotLinkable, Program
from mmarch.engine.returns import missing_return
from mmarch.engine.stopping import doors, guarded
from mmarch.verbose import say
from mmarch.waiting import waiting

_CODE_VERSION = 3
_CHECK = 32  # bytes of a checksum before an image
_KEPT = 64  # images in a folder
_ONCE = threading.Lock()
_options: list[str] = []  # given to LLVM, which takes each only once in a process
_BUILT_IN = {"core_mm", "arches", "mmarch"}  # packages that come with mmarch
_SECONDS = {"link": 0.01, "link-quick": 0.001}  # a function, until this computer has linked anything
_threads: defaultdict[Path, threading.Lock] = defaultdict(
    threading.Lock
)  # of this process that want an image


class Image:
    """Linked code: each root is callable with the memory of a machine."""

    def __init__(self, code: Code, blob: bytes) -> None:
        self._doors = doors(_loaded)
        self._entries = _Loaded(blob, [root.__name__ for root in code.roots])

    def call(self, name: str, memory: Memory, *arguments: int) -> int:
        """Run a root on one machine; Stopped if it does not end."""
        return guarded(self._doors, self._entries[name], memory, arguments)


class _Loaded:
    """Machine code in memory, for as long as this lives; the addresses of its functions by name.

    JITLink puts all sections side by side. MCJIT looks for room for each, which may be too far from the others for the
    32 bits of a relative address once large machines lie between: LLVM then ends the process.
    """

    def __init__(self, blob: bytes, names: Iterable[str]) -> None:
        import llvmlite.binding as llvm

        self._compiler = llvm.create_lljit_compiler(_target(llvm), use_jit_link=True)
        library = llvm.JITLibraryBuilder().add_object_img(blob).add_current_process()
        for name in names:
            library.export_symbol(name)
        self._library = library.link(self._compiler, "image")

    def __getitem__(self, name: str) -> int:
        address: int = self._library[name]
        return address


def _loaded(assembly: str) -> _Loaded:
    """Code that no cache keeps."""
    return _Loaded(compile_object(assembly), re.findall(r"^define .*@(\w+)\(", assembly, re.M))


def digest(code: Code, layout: Layout, options: Options) -> str:
    """A name that changes with any source, winner, layout, option or tool version."""
    parts = [
        *code.names(), *_own_sources(),
        repr((layout.arrays, layout.scalars, layout.hooks)),
        repr(layout.tables),
        repr(options), sys.version, llvmlite.__version__, str(_CODE_VERSION), _host_cpu(),
    ]  # fmt: skip
    return hashlib.sha256(b"\0".join([*code.sources(), *(part.encode() for part in parts)])).hexdigest()[:24]


def link(code: Code, layout: Layout, options: Options = Options()) -> Image:
    """The image of `code`, from the cache or compiled now.

    Raises NotLinkable for what lies outside the linkable subset. A checked image is not kept, since the
    places that it reports are numbered as it is made.
    """
    path = _folder(code) / f"{digest(code, layout, options)}.o"
    if options.checked:
        return Image(code, _compiled(code, layout, options))
    if blob := _load(path):
        say(f"in the cache: {path} ({len(blob):,} bytes)")
        return Image(code, blob)
    with _alone(path):
        blob = _load(path)
        if not blob:
            blob = _compiled(code, layout, options)
            say(f"linked: {len(blob):,} bytes of machine code, for {path}")
            _store(path, blob)
    return Image(code, blob)


def _folder(code: Code) -> Path:
    """Architectures that come with mmarch apart, so that however often another is linked, theirs stay."""
    functions = [*code.winners.values(), *code.defaults.values(), *code.replaced.values()]
    ours = {function.__module__.partition(".")[0] for function in functions} <= _BUILT_IN
    return cache_dir() / "images" / ("built-in" if ours else "others")


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One linker an image, of all threads and processes; a lock dies with its holder."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.with_suffix(".lock").open("wb")
    except OSError:  # a cache that cannot be written is no error
        yield
        return
    with _threads[path], lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with waiting("waiting for another linker"):
                fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _compiled(code: Code, layout: Layout, options: Options) -> bytes:
    program = Program(code.roots, code.winners, code.defaults, code.replaced)
    for function in (*code.winners.values(), *code.defaults.values()):
        if line := missing_return(function):
            place = f"{function.__code__.co_filename}:{function.__code__.co_firstlineno}"
            raise NotLinkable(f"{place}: hook {function.__name__} may end without a result (line {line})")
    number, kind = len(program.routines), "link-quick" if options.quick or options.checked else "link"
    with waiting(f"linking {number} functions", kind, number, guess=_SECONDS[kind]):
        return compile_object(lower(program, layout, options), optimize=kind == "link")


def compile_object(assembly: str, optimize: bool = True) -> bytes:
    """Machine code for this host, as an object file."""
    import llvmlite.binding as llvm

    machine = _target(llvm, 2 if optimize else 0)
    module = llvm.parse_assembly(assembly)
    module.triple, module.data_layout = machine.triple, str(machine.target_data)
    if optimize:
        builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=3))
        builder.getModulePassManager().run(module, builder)
    return bytes(machine.emit_object(module))


def _load(path: Path) -> bytes:
    """What was stored, or nothing if it is not there or not whole."""
    try:
        kept = path.read_bytes()
    except OSError:
        return b""
    check, blob = kept[:_CHECK], kept[_CHECK:]
    with suppress(OSError):
        os.utime(path)  # images that were not used for longest are evicted
    return blob if hashlib.sha256(blob).digest() == check else b""


def _store(path: Path, blob: bytes) -> None:
    """Write the image whole or not at all; a cache that cannot be written is no error."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(hashlib.sha256(blob).digest() + blob)
        os.replace(file.name, path)
        for old in sorted(path.parent.glob("*.o"), key=lambda p: p.stat().st_mtime)[:-_KEPT]:
            old.unlink(missing_ok=True)
            old.with_suffix(".lock").unlink(missing_ok=True)
    except OSError:
        return


def _own_sources() -> list[str]:
    return [file.read_text(encoding="utf-8") for file in sorted(Path(__file__).parent.glob("*.py"))]


def _host_cpu() -> str:
    import llvmlite.binding as llvm

    return str(llvm.get_host_cpu_name())


def _align_loops(llvm: Any) -> None:
    """Loops begin at a cache line: how fast a short one is does not hang on the size of what lies before it."""
    with _ONCE:
        if platform.machine() in ("x86_64", "AMD64") and not _options:
            _options.append("-x86-experimental-pref-innermost-loop-alignment=6")
            llvm.set_option("mmarch", _options[0])


def _target(llvm: Any, level: int = 2) -> Any:
    _align_loops(llvm)
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_default_triple()
    # with AVX-512 LLVM turns loops over rows into scatters, which are slower than the loops
    known = llvm.get_host_cpu_features().items()
    features = ",".join(f"{'+' if on and not name.startswith('avx512') else '-'}{name}" for name, on in known)
    return target.create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=features, opt=level, reloc="pic", codemodel="small"
    )
