"""One campaign that is followed, from the folder for what workers write down to what they reached."""

from __future__ import annotations

from tempfile import TemporaryDirectory
from typing import Any

from core_mm.descriptor import ArchDescriptor
from mmarch.check.reach import reasons
from mmarch.check.reach.model import Reached
from mmarch.check.reach.reading import read
from mmarch.check.reach.scope import functions
from mmarch.engine.program import NotLinkable
from mmarch.errors import InputError
from mmarch.plugins import features
from mmarch.plugins.series import Chosen


class Following:
    """The functions that are followed, and a folder while that goes on; nothing of both unless `wanted`."""

    def __init__(self, arch: ArchDescriptor, generic: ArchDescriptor, chosen: Chosen, wanted: bool) -> None:
        self.chosen, self.wanted = chosen, wanted
        try:
            self.functions = functions(arch, generic, chosen.changes) if wanted else []
        except NotLinkable as error:
            raise InputError(f"--coverage: which functions there are cannot be told: {error}") from error

    def __enter__(self) -> Following:
        self._folder = TemporaryDirectory(prefix="mmarch-coverage-") if self.wanted else None
        return self

    def __exit__(self, *_: object) -> None:
        if self._folder is not None:
            self._folder.cleanup()

    @property
    def asked(self) -> dict[str, Any] | None:
        """What a worker has to know."""
        if self._folder is None:
            return None
        return {"folder": self._folder.name, "files": sorted({one.path for one in self.functions})}

    def found(self, without: tuple[str, ...]) -> Reached | None:
        """What was reached so far."""
        if self._folder is None:
            return None
        known, names = self.chosen.known, self.chosen.names
        packages = sorted({one.package for one in self.functions})
        return read(
            self._folder.name, self.functions,
            lambda release: features.present(known, release, names, frozenset(without)),
            known, reasons.load(packages),
        )  # fmt: skip
