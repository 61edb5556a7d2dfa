"""Contiguous blocks have to be uniform whenever a TLB might look: all entries valid, alike, in sequence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from mmarch.sanitize.decode import INVALID, Decoder

Flaw = tuple[int, int, int, int, str]  # mm, page, ptep, raw, what


@dataclass
class Blocks:
    """Blocks with changes since they were last checked. `size` is in entries."""

    decoder: Decoder
    size: int
    _touched: dict[tuple[int, int], tuple[Mapping[int, int], int, int]] = field(default_factory=dict)

    def touch(
        self, table: Mapping[int, int], slot: int, index: int, place: tuple[int, int], old: int, new: int
    ) -> None:
        """An entry changed; `place` is its mm and page number."""
        mask = self.decoder.model.cont_mask
        if (old | new) & mask:
            first = index & -self.size
            mm, page = place
            self._touched[slot, first] = (table, mm, page - (index - first))

    def forget(self) -> None:
        """What was touched so far does not matter."""
        self._touched.clear()

    def check(self) -> Iterator[Flaw]:
        """What is wrong with the blocks touched since the last call."""
        if not self._touched:
            return
        touched, self._touched = self._touched, {}
        for (slot, first), (table, mm, page) in touched.items():
            what = self.flaw(table, first)
            if what:
                at, text = what
                ptep = slot * (1 << self._bits) + at
                yield mm, page + at - first, ptep, table.get(at, 0), text

    @property
    def _bits(self) -> int:
        geometry = self.decoder.geometry
        return geometry.pte_bits

    def flaw(self, table: Mapping[int, int], first: int) -> tuple[int, str] | None:
        """The first entry of the block that does not fit the others, and why; None if it is in order."""
        mask = self.decoder.model.cont_mask
        block = [table.get(first + i, 0) for i in range(self.size)]
        leaves = [self.decoder.leaf(raw, first + i) for i, raw in enumerate(block)]
        if not any(raw & mask and leaf is not INVALID for raw, leaf in zip(block, leaves, strict=True)):
            return None
        expected = leaves[0]
        for i, leaf in enumerate(leaves):
            if leaf is INVALID or not leaf.contiguous:
                return first + i, "an entry of a contiguous block is not contiguous, the others are"
            if leaf.likeness != expected.likeness:
                return first + i, "an entry of a contiguous block differs in permissions or attributes"
            if leaf.pfn != expected.pfn + i:
                return first + i, "an entry of a contiguous block maps a frame out of sequence"
        if expected.pfn % self.size:
            return first, "the frame of a contiguous block is not aligned"
        return None
