"""The operations of the language: each verb's arguments, in a long and a one-letter form."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace

from core_mm import uapi

from .expr import Amount
from .model import Operation, Span
from .words import Words, suggest

FILE_KINDS = {
    "regular": uapi.FILE_REGULAR,
    "tmpfs": uapi.FILE_TMPFS,
    "tmpfs_huge_always": uapi.FILE_TMPFS_HUGE,
    "ext4": uapi.FILE_EXT4,
    "ramfs": uapi.FILE_RAMFS,
    "shmem": uapi.FILE_SHMEM,
}
FALLOCATE = {
    "keep_size": uapi.FALLOC_FL_KEEP_SIZE,
    "punch_hole": uapi.FALLOC_FL_PUNCH_HOLE | uapi.FALLOC_FL_KEEP_SIZE,
}
ADVICE = {
    name.removeprefix("MADV_").lower(): code for name, code in vars(uapi).items() if name.startswith("MADV_")
}
_PROT = {
    "none": uapi.PROT_NONE,
    "read": uapi.PROT_READ,
    "write": uapi.PROT_WRITE,
    "exec": uapi.PROT_EXEC,
    "rw": uapi.PROT_READ | uapi.PROT_WRITE,
}
_MS_SYNC = 4
_MAP_OPTIONS = ("of", "in", "shared", "private", "advised", *_PROT)


CHILD = "child"  # the name of one that was given none
NO_CHILD = ("parent", "setup", "step", "dump")


@dataclass
class Known:
    """Names a scenario has introduced so far."""

    regions: set[str] = field(default_factory=set)
    files: set[str] = field(default_factory=set)
    children: set[str] = field(default_factory=set)  # forked and not reaped


Verb = Callable[[Words, Known], Operation]


def span(words: Words, known: Known, stop: Collection[str] = ()) -> Span:
    """`NAME`, `NAME FIRST COUNT` or `NAME FIRST..END`; a word of `stop` ends it after the name."""
    name = words.known("region", known.regions)
    if not words or words.peek() in stop or (stop and len(words.rest()) == 1):
        return Span(name)
    both = words.range()
    if both:
        return Span(name, both[0], None, both[1])
    first = words.size("the first page")
    return Span(name, first, words.size("the number of pages (or write a range, FIRST..END)"))


def _prot(words: Words) -> int:
    if words.peek().isdecimal():
        return words.integer("protection", 7)
    value, first = 0, True
    while words.peek() in _PROT or first:
        value |= _PROT[words.known("protection", _PROT)]
        first = False
    return value


def _spanned(verb: str, code: int = 0) -> Verb:
    def parse(words: Words, known: Known) -> Operation:
        return Operation(verb, span(words, known), code=code)

    return parse


def _plain(verb: str) -> Verb:
    return lambda words, known: Operation(verb)


def _map(words: Words, known: Known) -> Operation:
    again = words.peek() in known.regions
    name = words.name("a region")
    operation = Operation("map", Span(name))
    if not again or (words and words.peek() not in _MAP_OPTIONS):
        if not words or words.peek() in _MAP_OPTIONS:
            words.fail(f"the size of {name!r} is missing: map {name} SIZE{_ellipsis(words)}")
        operation = replace(operation, amount=words.size("the size"))
    known.regions.add(name)
    while words:
        operation = _map_option(operation, words, known)
    return operation


def _placed(operation: Operation, words: Words, known: Known) -> Operation:
    """`in REGION [PAGE]`: where a new region goes that gets no hole of its own."""
    assert operation.span is not None
    if operation.amount is None:
        words.fail(
            f"{operation.span.region!r} exists; a size makes a new region: map NAME SIZE in REGION PAGE"
        )
    target = words.known("region", known.regions)
    plain = words and words.peek() not in _MAP_OPTIONS
    return replace(
        operation, target=target, chunk=words.size("the page to begin at") if plain else Amount("0")
    )


def _ellipsis(words: Words) -> str:
    """What follows the size, for an error."""
    return f" {words.peek()} …" if words else ""


def _map_option(operation: Operation, words: Words, known: Known) -> Operation:
    if words.accept("of"):
        return replace(operation, file=words.known("file", known.files))
    if words.accept("in"):
        return _placed(operation, words, known)
    if words.accept("shared"):
        return replace(operation, shared=True)
    if words.accept("private"):
        return replace(operation, shared=False)
    if words.accept("advised"):
        return replace(operation, advice=words.known("advice of a mapping", ("order", "huge", "none")))
    if words.peek() in _PROT:
        return replace(operation, prot=_prot(words))
    word = words.peek()
    words.fail(
        f"{word!r} is no option of map{suggest(word, _MAP_OPTIONS)}; there are: {', '.join(_MAP_OPTIONS)}"
    )


def _reserve(words: Words, known: Known) -> Operation:
    name = words.name("a region")
    known.regions.add(name)
    return Operation("reserve", Span(name), amount=words.size("the size"))


def _madvise(words: Words, known: Known) -> Operation:
    where = span(words, known, ADVICE)
    return Operation("advise", where, code=ADVICE[words.known("advice", ADVICE)])


def _protect(words: Words, known: Known) -> Operation:
    where = span(words, known, _PROT)
    return Operation("protect", where, prot=_prot(words))


def _move(words: Words, known: Known) -> Operation:
    source = span(words, known, ("to",))
    words.accept("to")
    target = words.known("region", known.regions)
    plain = words and not words.peek().startswith("dont")
    offset = words.size("the target page") if plain else Amount("0")
    code = uapi.MREMAP_DONTUNMAP if words and words.known("option of move", ("dontunmap",)) else 0
    return Operation("move", source, target=target, amount=offset, code=code)


def _drop(words: Words, known: Known) -> Operation:
    return Operation("drop", Span(words.known("region", known.regions)))


def _anchor(words: Words, known: Known) -> Operation:
    return Operation("anchor", Span(words.known("region", known.regions)))


def _file(words: Words, known: Known) -> Operation:
    name = words.name("a file")
    kind = words.known("kind of file", (*FILE_KINDS, "kind"))
    size = words.size("the size") if words else None
    known.files.add(name)
    return Operation("file", file=name, target=kind, amount=size)


def _truncate(words: Words, known: Known) -> Operation:
    return Operation("truncate", file=words.known("file", known.files), amount=words.size("the size"))


def _fill(words: Words, known: Known) -> Operation:
    name = words.known("file", known.files)
    size = words.size("the size")
    if not words.accept("by"):
        words.fail("say how much one write covers: by 64KiB, or by folio")
    return Operation("fill", file=name, amount=size, chunk=words.size("the size of one write"))


def _fallocate(words: Words, known: Known) -> Operation:
    name = words.known("file", known.files)
    start = words.size("the first page")
    size = words.size("the number of pages")
    mode = FALLOCATE[words.known("mode", FALLOCATE)] if words else 0
    return Operation("fallocate", file=name, amount=size, chunk=start, code=mode)


def _unlink(words: Words, known: Known) -> Operation:
    return Operation("unlink", file=words.known("file", known.files))


def _clear_refs(words: Words, known: Known) -> Operation:
    return Operation("clear_refs", code=words.integer("what to clear", 5) if words else 1)


def _birth(verb: str) -> Verb:
    """A process or a thread, which acts under its name."""
    return lambda words, known: Operation(verb, target=_new_child(verb, words, known))


def _new_child(verb: str, words: Words, known: Known) -> str:
    column = words.column if words else words.start
    name = words.name("a child") if words else CHILD
    if name in known.children:
        words.fail(
            f"the child of an earlier fork still runs; reap it first, or name this one: {verb} NAME", column
        )
    if name in NO_CHILD:
        words.fail(f"{name!r} cannot name a child; it means something else before a line", column)
    known.children.add(name)
    return name


def _reap(words: Words, known: Known) -> Operation:
    name = words.known("child", known.children) if words else CHILD
    if name not in known.children:
        running = ", ".join(sorted(known.children))
        also = f"; name the one to reap: {running}" if running else "; fork first"
        words.fail(f"there is no child to reap{also}", words.start)
    known.children.discard(name)
    return Operation("reap", target=name)


VERBS: dict[str, Verb] = {
    "map": _map,
    "reserve": _reserve,
    "write": _spanned("touch", uapi.ACCESS_WRITE),
    "read": _spanned("touch", uapi.ACCESS_READ),
    "execute": _spanned("touch", uapi.ACCESS_EXEC),
    "dontneed": _spanned("advise", uapi.MADV_DONTNEED),
    "free": _spanned("advise", uapi.MADV_FREE),
    "cold": _spanned("advise", uapi.MADV_COLD),
    "pageout": _spanned("advise", uapi.MADV_PAGEOUT),
    "remove": _spanned("advise", uapi.MADV_REMOVE),
    "collapse": _spanned("advise", uapi.MADV_COLLAPSE),
    "madvise": _madvise,
    "protect": _protect,
    "unmap": _spanned("unmap"),
    "move": _move,
    "msync": _spanned("msync", _MS_SYNC),
    "drop": _drop,
    "anchor": _anchor,
    "file": _file,
    "truncate": _truncate,
    "fill": _fill,
    "fallocate": _fallocate,
    "unlink": _unlink,
    "fork": _birth("fork"),
    "thread": _birth("thread"),
    "reap": _reap,
    "clear_refs": _clear_refs,
    "drop_caches": _plain("drop_caches"),
    "age": _plain("age"),
    "nothing": _plain("nothing"),
    "end": _plain("end"),
}
# What people write who know the system call, the flag or another name.
MEANT = {
    "swapout": "pageout", "swap": "pageout", "reclaim": "pageout", "evict": "pageout",
    "mmap": "map", "alloc": "map", "munmap": "unmap", "mprotect": "protect", "mremap": "move", "ftruncate": "truncate",
    "pwrite": "fill", "store": "write", "memset": "write", "load": "read", "exec": "execute", "touch": "write",
    "punch_hole": "fallocate", "allocate": "fallocate", "posix_fallocate": "fallocate",
    "exit": "reap", "wait": "reap", "punch": "remove", "zap": "dontneed", "discard": "dontneed", "lazyfree": "free",
}  # fmt: skip
SHORT = {
    "m": "map",
    "R": "reserve",
    "w": "write",
    "r": "read",
    "d": "dontneed",
    "f": "free",
    "c": "cold",
    "p": "protect",
    "u": "unmap",
    "v": "move",
    "k": "fork",
    "x": "reap",
    "E": "end",
}
