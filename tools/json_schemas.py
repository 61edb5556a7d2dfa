"""Write docs/reference/schemas/*.json from the models of what mmarch prints and reads.

`python tools/json_schemas.py` writes them, with --check it only says whether they are up to date.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode

from mmarch import measurement
from mmarch.check.results import Report
from mmarch.grid.manifest import Manifest
from mmarch.report import paper_documents, printed, recorded, seen, series, sweep
from mmarch.runs.costs import CostProfile
from mmarch.runs.result import Ablation, Comparison, FeatureAblation, Operation, Result
from tools.generated import write_or_check

FOLDER = Path(__file__).parents[1] / "docs" / "reference" / "schemas"
PRINTED: Sequence[type[BaseModel]] = [
    printed.SanitizeDocument, printed.ValidateDocument, printed.RandomDocument, printed.TrendDocument,
    printed.ArchListDocument,
    printed.ArchDocument, printed.CpuListDocument, printed.CpuDocument, printed.CostsListDocument,
    printed.CostsDocument, printed.ReleasesDocument, printed.FeaturesDocument, printed.ReleaseDiffDocument,
    printed.KernelsDocument, printed.DoctorDocument, series.SeriesListDocument, series.SeriesDocument,
    paper_documents.PapersDocument, paper_documents.PaperDocument, paper_documents.FitDocument,
    sweep.SweepDocument, sweep.TableDocument, Manifest, recorded.TraceDocument,
]  # fmt: skip
MODELS: Mapping[str, type[BaseModel]] = {
    "result": Result,
    "compare": Comparison,
    "ablate": Ablation,
    "ablate-features": FeatureAblation,
    "map": seen.Map,
    "explain": seen.Explained,
    "top": seen.Top,
    "steps": seen.Steps,
    "check": Report,
    "measurement": measurement.File,
    "cost-profile": CostProfile,
    **{
        model.model_fields["schema_"].default.removeprefix("mmarch.").partition("/")[0]: model
        for model in PRINTED
    },
}
COUNT = {"anyOf": [{"type": "integer"}, {"type": "null"}]}


def schema(model: type[BaseModel]) -> dict[str, Any]:
    """The JSON Schema of a model as it is written; what has a default may be missing."""
    # a descriptor names classes, which only its serializers make into JSON
    mode: JsonSchemaMode = "serialization" if model is printed.ArchDocument else "validation"
    found = model.model_json_schema(by_alias=True, mode=mode)
    parts = {found["title"]: found, **found.get("$defs", {})}
    if Operation.__name__ in parts:
        _with_nulls(parts[Result.__name__]["properties"], parts[Operation.__name__]["properties"])
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **found}


def _with_nulls(result: dict[str, Any], operation: dict[str, Any]) -> None:
    """As Result's serializer does it: events that the engine does not show are null, their list is not written."""
    result.pop("unseen")
    for counts in (result["totals"], operation["events"]):
        counts["additionalProperties"] = COUNT


def render() -> Iterator[tuple[Path, str]]:
    """Each file and its text."""
    for name, model in MODELS.items():
        yield FOLDER / f"{name}.json", json.dumps(schema(model), indent=1, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    """Write the files, or compare them; 1 if one is out of date."""
    return write_or_check(render(), arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
