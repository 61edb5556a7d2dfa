"""Debian's arm64 kernels: found and downloaded with apt, into the user's cache, without root.

apt gets lists, a state and a package status of its own there; the system's are neither read nor changed.
Errors: mmarch.errors.InputError.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmarch.cache import cache_dir
from mmarch.errors import InputError
from mmarch.kernel import modules
from mmarch.kernel.image import read_image
from mmarch.writing import new_folder

PREFIX = "debian:"
ARCHIVE = "MMARCH_DEBIAN_ARCHIVE"  # environment: address of an archive or mirror of Debian's
SUITES = ("bookworm-backports", "trixie", "trixie-backports", "sid")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_NAME = re.compile(r"debian:(\d+\.\d+(?:\.\d+)?)(-16k)?")
_PACKAGE = re.compile(r"linux-(?:image|binary)-(\d+\.\d+\.\d+)\+deb[\d.]+-(cloud-arm64|arm64-16k)")
_FLAVOUR = {"": "cloud-arm64", "-16k": "arm64-16k"}
MAX_FILE = 512 << 20


@dataclass(frozen=True)
class Package:
    """A kernel that Debian has: its version, `` or `-16k`, and the package that holds the Image."""

    version: str
    suffix: str
    package: str

    @property
    def name(self) -> str:
        """As `mmarch` takes it."""
        return f"{PREFIX}{self.version}{self.suffix}"

    @property
    def key(self) -> tuple[int, ...]:
        """Newest last; of the packages of one version the last revision."""
        return (*map(int, self.version.split(".")), *map(int, re.findall(r"\d+", self.package)))


def folder() -> Path:
    """Where downloaded kernels are kept."""
    return cache_dir() / "kernel" / "debian"


def parse(name: str) -> tuple[str, str]:
    """Version and suffix of debian:VERSION[-16k]."""
    match = _NAME.fullmatch(name)
    if match is None:
        raise InputError(
            f"{name!r} is no kernel of Debian's; write debian:VERSION or debian:VERSION-16k, such as debian:7.3.4"
        )
    return match[1], match[2] or ""


def find(name: str) -> Path | None:
    """The folder of a downloaded kernel; of several that the version fits the newest."""
    version, suffix = parse(name)
    fitting = [entry for entry in downloaded() if _fits(entry, version, suffix)]
    return folder() / _folder_name(fitting[-1]) if fitting else None


def downloaded() -> list[Package]:
    """Kernels in the cache, oldest version first."""
    found = []
    for path in folder().glob("*/Image"):
        match = re.fullmatch(r"(\d+\.\d+\.\d+)(|-16k)", path.parent.name)
        if match:
            found.append(Package(match[1], match[2], ""))
    return sorted(found, key=lambda entry: entry.key)


def available() -> list[Package]:
    """Kernels that Debian's archive has now, oldest version first; the list is fetched."""
    _update()
    lines = _apt(
        "apt-cache", "search", "--names-only", "^linux-(image|binary)-[0-9].*-(cloud-arm64|arm64-16k)$"
    )
    return sorted(set(_packages(lines.splitlines())), key=lambda entry: entry.key)


def get(name: str) -> Path:
    """Download a kernel; returns its folder. Of several that the version fits the newest."""
    version, suffix = parse(name)
    offered = available()
    fitting = [entry for entry in offered if _fits(entry, version, suffix)]
    if not fitting:
        versions = ", ".join(dict.fromkeys(entry.version for entry in offered if entry.suffix == suffix))
        raise InputError(f"{name}: Debian has no such kernel now; there are: {versions or 'none'}")
    chosen = fitting[-1]
    target = folder() / _folder_name(chosen)
    if not target.exists():
        with new_folder(target) as new:
            _download(chosen, new)
    return target


def _fits(entry: Package, version: str, suffix: str) -> bool:
    return entry.suffix == suffix and f"{entry.version}.".startswith(f"{version}.")


def _folder_name(entry: Package) -> str:
    return f"{entry.version}{entry.suffix}"


def _packages(lines: Iterable[str]) -> Iterator[Package]:
    """Of a search; where a kernel comes in a binary package, its image package is empty."""
    names = {line.split(" - ")[0] for line in lines}
    for name in names:
        match = _PACKAGE.fullmatch(name)
        if match and not (name.startswith("linux-image-") and name.replace("-image-", "-binary-") in names):
            suffix = next(suffix for suffix, flavour in _FLAVOUR.items() if flavour == match[2])
            yield Package(match[1], suffix, name)


def _download(entry: Package, new: Path) -> None:
    wanted = [entry.package]
    if (
        "-binary-" in entry.package
    ):  # of some versions the modules are in a package of their own, and the config
        others = entry.package.replace("-binary-", "-(modules|base)-").replace("+", "[+]").replace(".", "[.]")
        wanted += [
            line.split(" - ")[0] for line in _apt("apt-cache", "search", "-n", f"^{others}$").splitlines()
        ]
    packed = new / "packages"
    packed.mkdir()
    _apt("apt-get", "download", *wanted, folder=packed)
    found: dict[str, bytes] = {}
    for package in sorted(packed.glob("*.deb")):
        _unpack(package, new, found)
    shutil.rmtree(packed)
    for name in modules.closure(found):
        (new / f"{name}.ko").write_bytes(found[name])
    if not (new / "Image").exists():
        raise InputError(f"{entry.package}: no vmlinuz in it")
    read_image(new / "Image")


def _unpack(package: Path, new: Path, found: dict[str, bytes]) -> None:
    """Image, config and the modules that may be needed; everything else stays packed."""
    command = ["dpkg-deb", "--fsys-tarfile", str(package)]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE) as unpacking,
        tarfile.open(fileobj=unpacking.stdout, mode="r|") as archive,
    ):
        for member in archive:
            stream = archive.extractfile(member) if member.isfile() and member.size <= MAX_FILE else None
            file = member.name.rsplit("/", 1)[-1]
            if stream is None:
                continue
            if file.startswith("vmlinuz"):
                (new / "Image").write_bytes(stream.read())
            elif file.startswith("config") and "/kernel/" not in member.name:
                (new / "config").write_bytes(stream.read())
            elif _may_be_needed(member.name):
                found[modules.name_of(member.name)] = modules.unpacked(member.name, stream.read())


def _may_be_needed(path: str) -> bool:
    name = modules.name_of(path)
    _, _, below = path.partition("/kernel/")
    near = "/zram/" in below or below.startswith(("mm/", "lib/", "fs/", "crypto/"))
    return bool(name) and (near or name in modules.WANTED)


def _update() -> None:
    home = _home()
    for part in ("lists/partial", "archives/partial"):
        (home / part).mkdir(parents=True, exist_ok=True)
    (home / "status").touch()
    signed = f" signed-by={KEYRING}" if KEYRING.exists() else ""
    archive = _archive()
    lines = [f"deb [arch=arm64{signed}] {archive} {suite} main\n" for suite in SUITES]
    (home / "sources.list").write_text("".join(lines))
    _apt("apt-get", "update", "--error-on=any")


def _archive() -> str:
    """As the environment says; else the one this system's own apt takes Debian's packages from."""
    given = os.environ.get(ARCHIVE, "")
    if given and not given.isspace():
        return given.strip()
    _require("apt-get")
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Origin: Debian", "Created-By: Packages"],
        capture_output=True, text=True, check=False,
    ).stdout.split()  # fmt: skip
    archives = [address for address in listed if not address.rstrip("/").endswith("-security")]
    if not archives:
        raise InputError(
            f"apt of this system has no archive of Debian's: set {ARCHIVE} to the address of one, or run apt-get update"
        )
    return archives[0]


def _home() -> Path:
    return cache_dir() / "kernel" / "apt"


def _options() -> list[str]:
    home = _home()
    settings = {
        "Dir::State": home, "Dir::State::Lists": home / "lists", "Dir::State::status": home / "status",
        "Dir::Cache": home, "Dir::Cache::archives": home / "archives", "Dir::Etc::SourceList": home / "sources.list",
        "Dir::Etc::SourceParts": "/dev/null", "APT::Architecture": "arm64", "APT::Architectures": "arm64",
        "APT::Sandbox::User": "", "Acquire::Languages": "none", "Acquire::Retries": "2",
    }  # fmt: skip
    return [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]


def _require(program: str) -> None:
    if shutil.which(program) is None or shutil.which("dpkg-deb") is None:
        raise InputError(
            f"{program} is not there: only on Debian and its kin can Debian's kernels be downloaded; name an Image"
        )


def _apt(program: str, *arguments: str, folder: Path | None = None) -> str:
    """Run apt on our own state; its output."""
    _require(program)
    command: Sequence[str] = [program, *_options(), "-q", *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=600, cwd=folder, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InputError(f"{program} {arguments[0]}: {error}") from None
    if done.returncode:
        said = [
            line for line in done.stderr.splitlines() if line.startswith("E:")
        ] or done.stderr.splitlines()
        raise InputError(f"{program} {arguments[0]} failed: {'; '.join(said[:3])[:600] or 'no network?'}")
    return done.stdout
