"""Sources of a kernel, read as far as kernel style makes that easy: functions, macros, and what may be replaced."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

# Where core-mm leaves room for an architecture's version of a function.
BORDER = (
    "include/linux/pgtable.h", "include/linux/huge_mm.h", "include/linux/mm.h", "include/linux/swapops.h",
    "include/linux/mm_inline.h", "include/linux/rmap.h", "include/asm-generic/tlb.h", "mm/pgtable-generic.c",
    "mm/internal.h",
)  # fmt: skip
# Where a function may be that has left its file.
MOVED_TO = (
    "mm/*.[ch]", "include/linux/*.h", "include/asm-generic/*.h", "kernel/*.c", "fs/*.c", "fs/proc/*.c",
)  # fmt: skip
LARGEST = 1 << 23  # bytes of a source file

COMMENT = re.compile(r"""/\*.*?\*/|//[^\n]*|("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')""", re.S)
CALL = re.compile(r"\b([A-Za-z_]\w*)\s*\(")
SYSCALL = re.compile(r"SYSCALL_DEFINE\d\(\s*(\w+)")
DEFINE = re.compile(
    r"\s*#\s*define\s+(\w+)(\(|\s+(?!\1\b)[a-z_]\w*\s*$)?"
)  # a function, or another name of one
ATTRIBUTES = ("__printf", "__attribute__", "__section", "__aligned", "__no_sanitize")

Texts = dict[str, str]  # name -> text


def without_comments(text: str) -> str:
    """The same lines without comments; strings stay."""
    return COMMENT.sub(lambda found: found[1] or "\n" * found[0].count("\n"), text.replace("\\\n", " "))


def definitions(text: str) -> list[tuple[int, str, str]]:
    """Line, name and text of every function, prototype and macro of a file without comments."""
    found, lines, at = [], text.split("\n"), 0
    while at < len(lines):
        line, start = lines[at], at
        at += 1
        if macro := DEFINE.match(line):
            if macro[2]:
                found.append((start, macro[1], line))
        elif line[:1].isalpha() or line[:1] == "_":
            while not re.search(r"[;{=]|^\s*#|^$", lines[at - 1]) and at < len(lines):
                at += 1
            if lines[at - 1].rstrip().endswith("{"):
                while at < len(lines) and not lines[at].startswith("}"):
                    at += 1
                at += 1
            whole = "\n".join(lines[start:at])
            if name := function_name(whole):
                found.append((start, name, whole))
    return found


def function_name(text: str) -> str:
    """What a definition or prototype defines, "" if it is none."""
    if syscall := SYSCALL.match(text):
        return syscall[1]
    head = re.split(r"[{;]", text, maxsplit=1)[0]
    if "=" in head or head.startswith("typedef"):
        return ""
    return next((name for name in CALL.findall(head) if not name.startswith(ATTRIBUTES)), "")


def bodies(text: str) -> Texts:
    """Function or macro -> all of its definitions in the file; prototypes do not count."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for _, name, whole in definitions(text):
        if whole.lstrip().startswith("#") or "{" in whole:
            found[name].append(whole)
    return {name: "\n".join(parts) for name, parts in found.items()}


def statements(text: str) -> list[str]:
    """What a function does, line breaks and spaces aside."""
    parts = re.split(r"(?<=[;{}])", text)
    return [" ".join(part.split()) for part in parts if part.strip()]


def optional(text: str) -> Iterator[tuple[str, str]]:
    """What a file defines only if an architecture has not: the macro that says so, the name."""
    found = {line: name for line, name, _ in definitions(text)}
    guards: list[str] = []
    for number, line in enumerate(text.split("\n")):
        words = line.replace("#", "# ").split()
        if words[:1] == ["#"] and len(words) > 1:
            if words[1] in ("if", "ifdef", "ifndef"):
                guards.append(guard(words))
            elif words[1] == "endif" and guards:
                guards.pop()
            elif words[1] in ("else", "elif") and guards:
                guards[-1] = ""
        for condition in guards if number in found else ():
            if condition == found[number] or condition.startswith(("__HAVE_ARCH_", "HAVE_ARCH_")):
                yield condition, found[number]


def guard(words: Sequence[str]) -> str:
    """The name whose absence lets a block in."""
    absent = re.match(r"!\s*defined\s*\(?\s*(\w+)", " ".join(words[2:]))
    if words[1] == "ifndef" and len(words) > 2:
        return words[2]
    return absent[1] if words[1] == "if" and absent else ""


# --- a tree ---


@dataclass
class Tree:
    """Unpacked sources of one kernel."""

    path: Path
    files: dict[str, Texts] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not (self.path / BORDER[0]).is_file():
            raise OSError(f"{self.path} has no {BORDER[0]}: give the top of an unpacked kernel tree")

    @cached_property
    def name(self) -> str:
        """Its version, else the name of its directory."""
        text = self.read("Makefile")
        parts = [re.search(rf"^{key} = *(\d+)$", text, re.M) for key in ("VERSION", "PATCHLEVEL", "SUBLEVEL")]
        return ".".join(part[1] for part in parts if part) or self.path.resolve().name

    def read(self, file: str) -> str:
        """A file's text without comments, "" if there is none."""
        path = self.path / file
        if not path.is_file():
            return ""
        with path.open(encoding="utf-8", errors="replace") as stream:
            return without_comments(stream.read(LARGEST))

    def functions(self, file: str) -> Texts:
        """Those that a file defines."""
        if file not in self.files:
            self.files[file] = bodies(self.read(file))
        return self.files[file]

    @cached_property
    def hooks(self) -> dict[str, str]:
        """Functions of the border that an architecture may replace -> what it defines to do so."""
        return {name: condition for file in BORDER for condition, name in optional(self.read(file))}

    @cached_property
    def by_arch(self) -> Mapping[str, frozenset[str]]:
        """Name -> architectures whose headers define it, as a function or a macro."""
        found: defaultdict[str, set[str]] = defaultdict(set)
        for path in sorted(self.path.glob("arch/*/include/asm/**/*.h")):
            file = path.relative_to(self.path)
            text = self.read(str(file))
            for name in (
                *re.findall(r"#\s*define\s+(\w+)", text),
                *(name for _, name, _ in definitions(text)),
            ):
                found[name].add(file.parts[1])
        return {name: frozenset(archs) for name, archs in found.items()}

    def overriders(self, hook: str) -> list[str]:
        """Architectures that have a hook of their own."""
        return sorted(self.by_arch.get(self.hooks.get(hook, hook), ()))

    def elsewhere(self, name: str) -> list[str]:
        """Files that define a function, of those where it may have moved."""
        return [
            str(path.relative_to(self.path))
            for pattern in MOVED_TO
            for path in sorted(self.path.glob(pattern))
            if name in path.read_text(encoding="utf-8", errors="replace")
            and name in self.functions(str(path.relative_to(self.path)))
        ]

    def text(self, file: str, name: str) -> str:
        """A function, wherever it is now; "" if it is nowhere."""
        if name in self.functions(file):
            return self.functions(file)[name]
        return next((self.functions(place)[name] for place in self.elsewhere(name)), "")

    @cached_property
    def border(self) -> frozenset[str]:
        """Every word in the files where core-mm meets the architectures."""
        return frozenset(re.findall(r"\w+", "\n".join(map(self.read, BORDER))))

    def knows(self, name: str) -> bool:
        """Whether the border, an architecture or the configuration has something of this name."""
        return name in self.border or name in self.by_arch or f"CONFIG_{name}" in self.border

    def shown(self, hook: str) -> str:
        """A hook, and who replaces it."""
        return f"{hook}: {', '.join(self.overriders(hook)) or 'nobody'}"
