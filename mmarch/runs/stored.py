"""Results read back from the JSON that mmarch wrote; the file may be anybody's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydantic_core
from pydantic import ValidationError

from mmarch.errors import InputError
from mmarch.reading import limited
from mmarch.runs.result import Ablation, Answer, Comparison, FeatureAblation, Result

LARGEST = 64 << 20  # bytes
EXACT = 1 << 53  # numbers that every reader of JSON holds exactly
MOST_ORDER = 40  # of folios: far beyond MAX_PAGE_ORDER of any kernel
KINDS = {
    kind.model_fields["schema_"].default: kind for kind in (Result, Comparison, Ablation, FeatureAblation)
}


def is_stored(argument: str) -> bool:
    """Whether an argument names a file of JSON, not a trace or a scenario."""
    path = Path(argument)
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"[")
    except OSError:
        return False


def load(path: Path) -> list[Answer]:
    """Every answer in a file; InputError if it is damaged, too large, of a newer mmarch, or something else."""
    text = limited(path, str(path), LARGEST, f"more than {LARGEST >> 20} MiB; no result is that large")
    try:
        document = pydantic_core.from_json(text, allow_inf_nan=False)
    except ValueError as error:
        raise InputError(f"{path}: damaged JSON: {error}; write the result again with --json") from None
    return [_answer(path, item) for item in (document if isinstance(document, list) else [document])]


def _answer(path: Path, document: Any) -> Answer:
    schema = document.get("schema") if isinstance(document, dict) else None
    if schema not in KINDS:
        raise InputError(f"{path}: {_foreign(schema)}; it can be one of: {', '.join(KINDS)}")
    if not all(-EXACT <= number <= EXACT for number in _numbers(document)):
        raise InputError(
            f"{path}: a number beyond 2^53, which no count is; write the result again with --json"
        )
    unseen = [_without_nulls(result) for result in _results(document)]
    try:
        found: Answer = KINDS[schema].model_validate_json(pydantic_core.to_json(document))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the whole"
        raise InputError(
            f"{path}: no {schema}: {where}: {first['msg']}; write the result again with --json"
        ) from None
    if wrong := _implausible(found):
        raise InputError(f"{path}: no {schema}: {wrong}; write the result again with --json")
    return _with_unseen(found, unseen)


def _numbers(document: Any) -> Iterator[int]:
    """Every integer in a document, however deep."""
    rest = [document]
    while rest:
        item = rest.pop()
        if isinstance(item, dict):
            rest += item.values()
        elif isinstance(item, list):
            rest += item
        elif isinstance(item, int):
            yield item


def _implausible(found: Answer) -> str:
    """What no run can have found, though its shape is right; empty if there is nothing."""
    if isinstance(found, Comparison):
        each, number = len(found.names), len(found.results)
        if not each or not number or number % each:
            return f"{number} results of {each} configurations"
        results: tuple[Result, ...] = found.results
    elif isinstance(found, FeatureAblation):
        results = found.older, found.newer
    else:
        results = (found.baseline if isinstance(found, Ablation) else found,)
    for result in results:
        chosen = result.configuration
        if not chosen.release or not all(0 <= order <= MOST_ORDER for order in chosen.folio_orders):
            return f"configuration: release {chosen.release!r}, folio_orders {chosen.folio_orders}"
        if min(result.totals.values(), default=0) < 0:
            return "totals: a count below 0"
    return ""


def _foreign(schema: Any) -> str:
    """What is wrong with a schema that is none of ours."""
    if not isinstance(schema, str):
        return "JSON, but no result: it has no schema"
    name, _, version = schema.partition("/")
    ours = {known.partition("/")[0]: known for known in KINDS}
    if name in ours and version.isdigit():
        return f"schema {schema[:80]} is newer than this mmarch, which reads {ours[name]}; use the one that wrote it"
    return f"schema {schema[:80]!r} is no result that a report shows"


def _results(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The results inside an answer, in order of its fields."""
    parts = document.get("results", [document.get(key) for key in ("baseline", "older", "newer")])
    inside = [item for item in parts if isinstance(item, dict)] if isinstance(parts, list) else []
    yield from inside or [document]


def _without_nulls(result: dict[str, Any]) -> tuple[str, ...]:
    """The events that an engine does not show, which are null, taken out of the counts."""
    operations = result.get("operations")
    parts = operations.values() if isinstance(operations, dict) else ()
    counts = [result.get("totals"), *(item.get("events") for item in parts if isinstance(item, dict))]
    unseen: dict[str, None] = {}
    for events in (each for each in counts if isinstance(each, dict)):
        for name in list(events):
            if events[name] is None:
                unseen[name] = events.pop(name)
    return tuple(unseen)


def _with_unseen(found: Answer, unseen: list[tuple[str, ...]]) -> Answer:
    if isinstance(found, Result):
        return found.model_copy(update={"unseen": unseen[0]})
    if isinstance(found, Comparison):
        results = [r.model_copy(update={"unseen": u}) for r, u in zip(found.results, unseen, strict=True)]
        return found.model_copy(update={"results": tuple(results)})
    return found
