"""What an architecture says of itself: a plugin's entry point in group ``mmarch.arch`` yields one of these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_serializer, model_validator

from core_mm.cpufeature import CpuFeature, CpuFeatures
from core_mm.feature import Features
from core_mm.tlb_model import TlbModel
from core_mm.vmstat import ARCH_EVENT, EVENTS

Group = Literal["tlbi", "barrier"]

_GROUPS: Mapping[str, Group] = {"tlbi_": "tlbi", "dsb_": "barrier"}

# What a capability promises: hooks that have to be the architecture's own.
CAPABILITIES: Mapping[str, tuple[str, ...]] = {
    "contiguous": ("ptep_get", "set_ptes", "pte_batch_hint"),
    "hw_afdbm": ("arch_has_hw_pte_young",),
    "bbm": (),
    "ttl": (),
}


class Geometry(BaseModel):
    """Page-table geometry of one granule.

    page_shift  log2 of the page size in bytes
    pte_bits    log2 of the entries of a table
    levels      table levels from the top to the PTE table
    cont_ptes   entries of a contiguous block, 1 where there is none
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    page_shift: int = Field(ge=10, le=20)
    pte_bits: int = Field(ge=4, le=16)
    levels: int = Field(ge=2, le=5)
    cont_ptes: int = Field(default=1, ge=1)


class Cpu(BaseModel):
    """A CPU model.

    features  values of the architecture's `cpu_scalars`; what is left out is 0
    costs     name of the cost profile that suits it
    source    what says that it has these features
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    description: str
    features: Mapping[str, int]
    costs: str = ""
    source: str = ""


class PteName(BaseModel):
    """A bit or field of entries as ptdump shows it: `set` where `entry & mask == value`, else `clear`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mask: int
    value: int
    set: str
    clear: str = ""


class ArchDescriptor(BaseModel):
    """An architecture as the framework sees it.

    modules       dotted names of the modules that hold the hook implementations
    cpus          models by name; `MODEL+FEATURE+noFEATURE` on a command line changes one
    cpu_scalars   the table in the plugin's modules that `Cpu.features` fills, None for none
    features      the table in the plugin's modules of behaviours that differ between releases, None for none
    required      hooks whose default would be wrong here, each with the reason; they cannot be withheld
    api_version   the version of the hooks that it was written for, `core_mm.hookspecs.API_VERSION` then
    capabilities  what the conformance suite may expect, of `CAPABILITIES`
    events        names of the architecture's own counts, from `core_mm.vmstat.ARCH_EVENT` on
    event_groups  prefix of event names -> what they are: a TLB invalidation, or a wait for its completion
    tlb_model     what these mean, for the TLB oracle; without it `--sanitize` and its checks have nothing to go by
    pte_names     what bits of entries are called, in ptdump's order; none: generic names
    folio_order   order of the folios a run uses unless told otherwise
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    description: str = ""
    api_version: int = 1
    modules: tuple[str, ...]
    granules: Mapping[str, Geometry]
    default_granule: str
    cpus: Mapping[str, Cpu]
    default_cpu: str
    cpu_scalars: type[CpuFeatures] | None = None
    features: type[Features] | None = None
    required: Mapping[str, str] = Field(default_factory=dict)
    capabilities: frozenset[str] = frozenset()
    events: tuple[str, ...] = Field(default=(), max_length=EVENTS - ARCH_EVENT)
    event_groups: Mapping[str, Group] = Field(default=_GROUPS)
    tlb_model: TlbModel | None = None
    pte_names: tuple[PteName, ...] = ()
    cost_profiles: Mapping[str, str] = Field(default_factory=dict)  # name -> package resource "pkg:file.toml"

    @model_validator(mode="after")
    def _defaults_exist(self) -> Self:
        for what, default, known in (
            ("granule", self.default_granule, self.granules), ("cpu", self.default_cpu, self.cpus),
        ):  # fmt: skip
            if default not in known:
                raise ValueError(f"default_{what} {default!r} is none of {', '.join(known)}")
        return self

    @field_serializer("cpu_scalars")
    def _dump_cpu_features(self, _: type[CpuFeatures] | None) -> dict[str, dict[str, object]]:
        return {name: asdict(feature) for name, feature in self.cpu_features.items()}

    @field_serializer("features")
    def _dump_features(self, table: type[Features] | None) -> dict[str, dict[str, object]]:
        return {name: asdict(feature) for name, feature in table.table.items()} if table else {}

    @property
    def cpu_features(self) -> Mapping[str, CpuFeature]:
        """What its CPUs differ in, in the order of the table."""
        return self.cpu_scalars.table if self.cpu_scalars else {}

    def capabilities_of(self, cpu: Cpu) -> frozenset[str]:
        """Those that remain on `cpu`."""
        return self.capabilities - {
            feature.capability for feature in self.cpu_features.values() if not cpu.features.get(feature.name)
        }

    def group(self, group: Group) -> tuple[str, ...]:
        """Events that belong to `group`, in order."""
        prefixes = tuple(prefix for prefix, kind in self.event_groups.items() if kind == group)
        return tuple(event for event in self.events if event.startswith(prefixes))
