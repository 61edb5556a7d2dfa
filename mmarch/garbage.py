"""How often Python looks for cycles of objects that nobody needs any more: seldom, in processes of our own.

A run makes hundreds of thousands of objects that live as long as it does, and cycles by the machine: by default a
tenth of the time and more goes into looks that find nothing.
"""

from __future__ import annotations

import gc

OBJECTS, YOUNG, OLD = 20_000, 10, 10  # new ones between two looks; looks between two at those that stayed


def look_seldom() -> None:
    """From now on, and never at what there is already."""
    gc.freeze()
    gc.set_threshold(OBJECTS, YOUNG, OLD)
