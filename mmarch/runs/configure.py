"""From names on a command line to what a run fixes; unknown names get suggestions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from string import ascii_uppercase

from core_mm import releases
from core_mm.descriptor import ArchDescriptor, Geometry
from core_mm.feature import Feature
from core_mm.releases import DEFAULT_RELEASE, RELEASES
from mmarch import cpus
from mmarch.errors import InputError, concerning
from mmarch.plugins import LoadedArch, features, load_arch
from mmarch.plugins.series import LoadedSeries, choose, fits
from mmarch.plugins.withhold import expand
from mmarch.runs.result import Configuration
from mmarch.sizes import DEFAULT_FOLIO, SMALLEST_ORDER, parse_orders, parse_size
from mmarch.suggest import unknown

DEFAULT_ARCH = "arm64"
SMALLEST_MEMORY = 16 << 20


@dataclass(frozen=True)
class Choices:
    """A configuration as given: text, empty where the default is meant."""

    arch: str = DEFAULT_ARCH
    release: str = ""
    cpu: str = ""
    granule: str = ""
    folio_orders: str = ""
    with_: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    memory: str = "16G"
    seed: int = 0
    page_size: int = 0  # of the recorded machine, whose granule is the default


@dataclass(frozen=True)
class Setup:
    """A configuration with the architectures it names, and the series that may be on."""

    configuration: Configuration
    arch: LoadedArch
    generic: LoadedArch
    series: tuple[LoadedSeries, ...] = ()

    @property
    def geometry(self) -> Geometry:
        """Of the chosen granule."""
        return self.arch.descriptor.granules[self.configuration.granule]

    @property
    def page_shift(self) -> int:
        """log2 of the page size."""
        return self.geometry.page_shift

    @property
    def page_size(self) -> int:
        """In bytes."""
        return 1 << self.geometry.page_shift

    @property
    def known(self) -> dict[str, Feature]:
        """Features there are: core-mm's, the architecture's, and the series."""
        return {**features.table(self.arch.descriptor), **{one.name: one.feature for one in self.series}}

    @property
    def applied(self) -> tuple[LoadedSeries, ...]:
        """The series that are on."""
        return tuple(one for one in self.series if one.name in self.configuration.with_)

    @property
    def features(self) -> frozenset[str]:
        """Names of those that this configuration has."""
        chosen = self.configuration
        return features.present(
            self.known, chosen.release, frozenset(chosen.with_), frozenset(chosen.without)
        )

    def withholding(self, hooks: Sequence[str]) -> Setup:
        """The same with more hooks withheld, or series taken off."""
        own = {one.name for one in self.series}
        return self._changed(
            with_=tuple(name for name in self.configuration.with_ if name not in own.intersection(hooks)),
            without=tuple(sorted({*self.configuration.without, *hooks} - own)),
        )

    def having(self, wanted: frozenset[str]) -> Setup:
        """The same with just these features."""
        own = releases.features(self.configuration.release, self.known.values())
        hooks = {name for name in self.configuration.without if name not in self.known}
        return self._changed(with_=tuple(sorted(wanted - own)), without=tuple(sorted(hooks | (own - wanted))))

    def _changed(self, **changes: tuple[str, ...]) -> Setup:
        return replace(self, configuration=self.configuration.model_copy(update=changes))


def configure(choices: Choices, load: Callable[[str], LoadedArch] = load_arch) -> Setup:
    """Load the architecture and check every name; InputError or PluginError.

    load  how an architecture is loaded, for who configures thousands of times
    """
    arch = load(choices.arch)
    generic = arch if choices.arch == "generic" else load("generic")
    descriptor = arch.descriptor
    release = _known("release", choices.release or DEFAULT_RELEASE, RELEASES)
    usual = _recorded(descriptor, choices.page_size) or descriptor.default_granule
    granule = _known("granule", choices.granule.lower() or usual, descriptor.granules)
    with concerning("with_"):
        chosen = choose(descriptor, choices.with_)
    known, with_ = chosen.known, chosen.names
    own = releases.features(release, known.values())
    with concerning("without"):
        without = expand(arch, choices.without)
    with concerning("cpu"):
        cpu = cpus.choose(descriptor, choices.cpu).name
    fits(chosen.series, release)
    features.present(known, release, with_, without)
    configuration = Configuration(
        arch=descriptor.name,
        release=release,
        cpu=cpu,
        granule=granule,
        folio_orders=_orders(choices, arch, granule),
        with_=tuple(sorted(with_ - own)),
        without=tuple(sorted(without - (known.keys() - own))),
        memory=_memory(choices.memory),
        seed=choices.seed,
    )
    return Setup(configuration, arch, generic, chosen.series)


def _recorded(descriptor: ArchDescriptor, page_size: int) -> str:
    """The granule with pages of that size, empty if there is none."""
    found = (name for name, geometry in descriptor.granules.items() if 1 << geometry.page_shift == page_size)
    return next(found, "")


def _known(what: str, name: str, known: Iterable[str]) -> str:
    names = list(known)
    if name not in names:
        with concerning(what):
            raise unknown(what, name, names)
    return name


def _orders(choices: Choices, arch: LoadedArch, granule: str) -> tuple[int, ...]:
    """As given; else folios of 64 KiB, whatever the architecture and the granule, so that runs compare."""
    geometry = arch.descriptor.granules[granule]
    if choices.folio_orders:
        with concerning("folio_orders"):
            return parse_orders(choices.folio_orders, geometry.page_shift, geometry.pte_bits)
    order = (DEFAULT_FOLIO >> geometry.page_shift).bit_length() - 1
    return (order,) if order >= SMALLEST_ORDER else ()


def _memory(text: str) -> int:
    with concerning("memory"):
        memory = parse_size(text, "memory")
        if not SMALLEST_MEMORY <= memory <= 1 << 42:
            raise InputError(f"memory {text!r}: simulated memory is between 16M and 4T")
    return memory


def letters(number: int) -> str:
    """The name of a configuration that has none: A … Z, AA, AB, …"""
    more, last = divmod(number, len(ascii_uppercase))
    return (letters(more - 1) if more else "") + ascii_uppercase[last]
