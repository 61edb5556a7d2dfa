"""How many mechanical mutants of core-mm, arm64 and generic does mmarch notice?

`python -m tools.mutation_score --sample N --seed S` draws N mutants, each as likely as the other, and puts each into a
copy of this tree, where the stages run one after the other until one notices it: a quick check, a full check, both of
all levels, random operations under the oracles, the measured steps. A stage that crashes or does not end has noticed it
too. Several seeds draw as often. `--kinds` and `--only` draw from some of them.

First the stages run on the sound tree with all mutants beside the expressions that they change
(tools/mutation_probe.py), which says which jobs of a stage (a check on a release, a round of random operations) can
notice which mutant at all. Only those are run with it, the fastest first. Measured steps always run.

What was found is kept in a file, a line a mutant, so that the same command goes on where it was stopped, and one with
more stages asks these of what has survived; a changed tree begins anew. Of what survives, memory is compared with the
sound tree's after random operations: equal memory is what an equivalent mutant has, and a survivor all the same.

The exit code is 1 when the score is below `--least` percent.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from fnmatch import fnmatch
from functools import partial
from itertools import accumulate, chain
from pathlib import Path
from typing import Any

from tools.mutation_purity import pure_names
from tools.mutation_results import results
from tools.mutation_stage import jobs
from tools.mutation_tree import MUTATED, OPERATIONS, ROOT, Tree, Trees, digest
from tools.mutators import Mutant, mutants

STAGES = {"quick": 600, "full": 3600, "oracle": 3600, "measured": 1800}  # seconds
KINDS = (
    "comparison", "arithmetic", "constant", "boundary", "deleted call", "swapped argument", "dropped flag",
)  # fmt: skip
CONDITION = "dropped condition"  # when asked for: a quarter of them compute the same in every job
PROBED = ("quick", "full", "oracle")  # stages that run interpreted as well
SOURCES = ("load.",)  # checks that run nothing of what they check
EARLY = 8  # seconds, and files of measurements
Step = tuple[str, list[str]]  # a stage, and some of its jobs
SOUND = "sound"  # in place of a stage: nothing noticed it
IMAGE = 1800  # seconds


@dataclass(frozen=True)
class Found:
    """What became of a mutant.

    stage    that noticed it, or SOUND
    what     the check that failed, or how the process ended; of a survivor where it runs and what it changes there
    equal    of a survivor: memory equals that of the sound tree
    seconds  of all stages
    asked    of a survivor: the stages, with commas, "early" before one of which only what takes least was run;
             further ones are asked when the command wants them
    """

    id: str
    stage: str
    what: str
    equal: bool | None
    seconds: float
    asked: str = ""

    def left(self, stages: Sequence[str]) -> list[str]:
        """Of stages those that may notice it yet."""
        return [stage for stage in stages if self.stage == SOUND and stage not in self.asked.split(",")]

    def early(self, stage: str) -> bool:
        """Whether what takes least of a stage was run."""
        return f"early {stage}" in self.asked.split(",")

    def after(self, before: Found, stages: Sequence[str], early: bool) -> Found:
        """With what was asked, and spent, before."""
        spent = replace(self, seconds=round(before.seconds + self.seconds, 1))
        if self.stage != SOUND:
            return spent
        more = [f"early {stage}" for stage in stages] if early else list(stages)
        return replace(spent, asked=",".join(sorted({*filter(None, before.asked.split(",")), *more})))


@dataclass
class Probed:
    """What the jobs of a stage can notice, and take.

    seconds  job -> processor time on the sound tree, interpreted
    seen     mutant -> jobs in which it computes something else
    ran      mutant -> jobs that run it
    """

    seconds: dict[str, float] = field(default_factory=dict)
    seen: dict[str, list[str]] = field(default_factory=dict)
    ran: dict[str, list[str]] = field(default_factory=dict)

    def add(self, told: dict[str, Any], sample: Sequence[Mutant]) -> None:
        """A line of tools/mutation_probe.py."""
        self.seconds[told["job"]] = told["seconds"]
        for which, where in (("seen", self.seen), ("ran", self.ran)):
            for number in told[which]:
                where.setdefault(sample[number].id, []).append(told["job"])

    def jobs(self, mutant: Mutant) -> list[str]:
        """Those that can notice it, the fastest first; those that only look at sources always."""
        sources = [job for job in self.seconds if job.rpartition("/")[2].startswith(SOURCES)]
        return sorted({*sources, *self.seen.get(mutant.id, ())}, key=lambda job: (self.seconds[job], job))


def every(root: Path) -> list[Mutant]:
    """Every mutant of a tree."""
    files = list(chain.from_iterable(sorted((root / place).rglob("*.py")) for place in MUTATED))
    sources = [file.read_text(encoding="utf-8") for file in files]
    found = results(sources)
    return [
        mutant
        for file, source in zip(files, sources, strict=True)
        for mutant in mutants(file.relative_to(root).as_posix(), source, found)
    ]


def drawn(all_of_them: Sequence[Mutant], sample: int, seed: int) -> list[Mutant]:
    """Each as likely as the other, so that the score of a draw estimates that of all; in an order of the seed's."""
    return random.Random(seed).sample(all_of_them, min(sample, len(all_of_them)))


def wanted_of(all_of_them: Iterable[Mutant], kinds: Sequence[str], only: Sequence[str]) -> list[Mutant]:
    """Those of some kinds, in files that match one of the patterns."""
    return [
        mutant
        for mutant in all_of_them
        if mutant.operator in kinds and any(fnmatch(mutant.path, pattern) for pattern in only)
    ]


def judge(
    tree: Tree, mutant: Mutant, seed: int, steps: Sequence[Step], probed: Mapping[str, Probed], image: str
) -> Found:
    """Run the steps until one notices."""
    start = time.monotonic()
    tree.with_(mutant)
    try:
        for name, chosen in steps:
            code, what = tree.stage(name, seed, STAGES[name], chosen)
            if code:
                return Found(mutant.id, name, what, None, round(time.monotonic() - start, 1))
        equal = tree.stage("image", seed, IMAGE) == (0, image) if image else None
        return Found(mutant.id, SOUND, fate(mutant, probed), equal, round(time.monotonic() - start, 1))
    finally:
        tree.sound(mutant)


def parts(
    mutant: Mutant, stage: str, probed: Mapping[str, Probed], measured: Sequence[str]
) -> tuple[list[str], list[str]]:
    """The jobs of a stage that can notice a mutant: those that take least, and the rest."""
    chosen = probed[stage].jobs(mutant) if stage in probed else list(measured)
    times = (
        accumulate(probed[stage].seconds[job] for job in chosen) if stage in probed else range(len(chosen))
    )
    early = sum(spent <= EARLY for spent in times)
    return chosen[:early], chosen[early:]


def steps(
    mutant: Mutant,
    verdict: Found,
    stages: Sequence[str],
    measured: Sequence[str],
    probed: Mapping[str, Probed],
    early: bool,
) -> list[Step]:
    """What is still to be asked: early, of every stage what takes least; then all that is left of each."""
    made: list[Step] = []
    for stage in stages:
        first, rest = parts(mutant, stage, probed, measured)
        made.append((stage, first if early else rest if verdict.early(stage) else first + rest))
    return [(stage, chosen) for stage, chosen in made if chosen]


def fate(mutant: Mutant, probed: Mapping[str, Probed]) -> str:
    """What became of a survivor in the jobs that were probed: what would kill it follows from that."""
    if not probed:
        return "what its places do was not looked at"
    ran, seen = (
        sum(len(jobs.get(mutant.id, ())) for jobs in found)
        for found in zip(*((one.ran, one.seen) for one in probed.values()), strict=True)
    )
    if not ran:
        return "no job runs it: a program that gets there would tell"
    if not seen:
        return f"{ran} jobs run it, and it computes the same each time: other values would tell"
    return f"{ran} jobs run it, in {seen} it computes something else that nothing looks at: a judgment would tell"


def probe(
    trees: Trees, journal: Journal, sample: Sequence[Mutant], seed: int, stages: Sequence[str]
) -> dict[str, Probed]:
    """What the jobs of each stage can notice, found out once; the sound tree has to pass them all."""
    pure = pure_names(sorted({mutant.path for mutant in sample}))

    def one(part: int, name: str) -> list[Any]:
        with trees.one() as tree:
            lines = [json.loads(line) for line in tree.probed(name, seed, sample, pure, part, trees.workers)]
        for line in lines:
            if line["noticed"]:
                sys.exit(f"the sound tree fails stage {name}: {line['noticed']}")
        return lines

    for name in (name for name in stages if name not in journal.probed):
        lines = list(chain.from_iterable(trees.each(range(trees.workers), partial(one, name=name))))
        journal.add({"probed": {name: lines}})
        journal.probed[name] = lines
    found = {name: Probed() for name in stages}
    for name, jobs_of in found.items():
        for line in journal.probed[name]:
            jobs_of.add(line, sample)
    return found


class Journal:
    """Verdicts on disk: a line that says of which tree and seed, then one a mutant; the last one counts."""

    def __init__(self, path: Path, head: dict[str, object]) -> None:
        self.path, self.head = path, json.dumps(head)
        self.image, self.found = "", dict[str, Found]()
        self.probed: dict[str, list[dict[str, Any]]] = {}
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        if lines[:1] == [self.head]:
            for told in map(parsed, lines[1:]):
                self.image = str(told.get("image", self.image))
                self.probed |= told.get("probed", {})
                if "id" in told:
                    self.found[str(told["id"])] = Found(**told)
        else:
            path.write_text(self.head + "\n", encoding="utf-8")

    def add(self, told: dict[str, Any]) -> None:
        """Durable before the next one begins."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(told) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.image = str(told.get("image", self.image))


def parsed(line: str) -> dict[str, Any]:
    """A line of the journal; nothing for one that a kill cut."""
    try:
        told = json.loads(line)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def summary(sample: Sequence[Mutant], found: dict[str, Found]) -> str:
    """The score, by kind and by stage, and every survivor."""
    judged = [(mutant, found[mutant.id]) for mutant in sample if mutant.id in found]
    killed = Counter(verdict.stage for _, verdict in judged)
    survivors = [(mutant, verdict) for mutant, verdict in judged if verdict.stage == SOUND]
    kinds, lost = (
        Counter(m.operator for m, v in judged),
        Counter(m.operator for m, v in judged if v.stage != SOUND),
    )
    lines = [f"{score(judged):.1f} % of {len(judged)} mutants noticed ({len(sample)} drawn)"]
    lines += [f"  by {stage:<17}{killed[stage]:>5}" for stage in STAGES if killed[stage]]
    lines += [f"  {kind:<20}{lost[kind]:>5} of {count}" for kind, count in sorted(kinds.items())]
    for mutant, verdict in survivors:
        lines.append(f"survives{', with equal memory' if verdict.equal else ''}: {mutant}; {verdict.what}")
    return "\n".join(lines)


def score(judged: Sequence[tuple[Mutant, Found]]) -> float:
    """Percent that something noticed."""
    return 100 * sum(verdict.stage != SOUND for _, verdict in judged) / max(1, len(judged))


def options() -> argparse.Namespace:
    """Of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--sample", type=int, default=150, metavar="N", help="mutants to draw (150)")
    parser.add_argument(
        "--seed",
        type=int,
        nargs="+",
        default=[0],
        metavar="S",
        help="of draws; the first is that of the stages too (0)",
    )
    parser.add_argument("--stages", default=",".join(STAGES), help="some of them, with commas (%(default)s)")
    parser.add_argument(
        "--kinds", default=",".join(KINDS), help='with commas; "dropped condition" is one more (%(default)s)'
    )
    parser.add_argument(
        "--only", nargs="+", default=["*"], metavar="PATTERN", help="files, such as 'core_mm/memory/*' (all)"
    )
    parser.add_argument(
        "--eager",
        action="store_true",
        help="what takes least first, of every stage: the same score sooner, whichever stage notices",
    )
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="mutants judged at once (1)")
    parser.add_argument("--journal", type=Path, default=Path("mutation-score.jsonl"), help="(%(default)s)")
    parser.add_argument("--least", type=float, default=0, metavar="PERCENT", help="exit 1 below it (0)")
    parser.add_argument(
        "--operations",
        type=int,
        default=OPERATIONS,
        metavar="N",
        help="of stage oracle on each release (%(default)s)",
    )
    parser.add_argument("--no-images", action="store_true", help="do not compare memory, which takes minutes")
    parser.add_argument("--list", action="store_true", help="print the sample and end")
    return parser.parse_args()


def main() -> None:
    """Draw, judge what has no verdict yet, and tell."""
    wanted = options()
    stages = wanted.stages.split(",")
    if unknown := set(stages) - set(STAGES):
        sys.exit(f"--stages: no {', '.join(sorted(unknown))}; there are {', '.join(STAGES)}")
    kinds = wanted.kinds.split(",")
    if unknown := set(kinds) - {*KINDS, CONDITION}:
        sys.exit(f"--kinds: no {', '.join(sorted(unknown))}; there are {', '.join((*KINDS, CONDITION))}")
    if not (chosen := wanted_of(every(ROOT), kinds, wanted.only)):
        sys.exit(f"--only: no file with mutants matches {' '.join(wanted.only)}; one is core_mm/mmap.py")
    draws = {seed: drawn(chosen, wanted.sample, seed) for seed in wanted.seed}
    sample = list(dict.fromkeys(chain.from_iterable(zip(*draws.values(), strict=True))))
    if wanted.list:
        print(*sample, sep="\n")
        return
    head = {
        "tree": digest(ROOT),
        "seed": wanted.seed,
        "sample": wanted.sample,
        "operations": wanted.operations,
        "kinds": kinds,
        "only": wanted.only,
    }
    journal = Journal(wanted.journal, head)
    with tempfile.TemporaryDirectory(prefix="mutation-") as place:
        judge_all(
            Trees(ROOT, Path(place), wanted.operations, wanted.workers), journal, sample, stages, wanted
        )
    for drawn_by, draw in draws.items():
        print(f"seed {drawn_by}: {summary(draw, journal.found)}")
    sys.exit(any(score([(m, journal.found[m.id]) for m in draw]) < wanted.least for draw in draws.values()))


def judge_all(
    trees: Trees,
    journal: Journal,
    sample: Sequence[Mutant],
    stages: Sequence[str],
    wanted: argparse.Namespace,
) -> None:
    """Every mutant's verdict into the journal; when eager, all have had what takes least before any gets the rest."""
    seed = wanted.seed[0]
    probed = probe(trees, journal, sample, seed, [name for name in stages if name in PROBED])
    if not journal.image and not wanted.no_images:
        with trees.one() as tree:
            journal.add({"image": tree.stage("image", seed, IMAGE)[1]})
    measured = [str(job) for job in jobs("measured", seed)]

    def verdict(mutant: Mutant, early: bool) -> Found | None:
        before = journal.found.get(mutant.id, Found(mutant.id, SOUND, "", None, 0))
        asking = [stage for stage in before.left(stages) if not (early and before.early(stage))]
        if not asking:
            return None
        todo = steps(mutant, before, asking, measured, probed, early)
        with trees.one() as tree:
            found = judge(tree, mutant, seed, todo, probed, "" if early else journal.image)
        return found.after(before, asking, early)

    for early in (True, False) if wanted.eager else (False,):
        for number, found in enumerate(trees.each(sample, partial(verdict, early=early)), 1):
            if found:
                journal.add(asdict(found))
                journal.found[found.id] = found
                mutant = next(one for one in sample if one.id == found.id)
                so_far = " so far" if early and found.stage == SOUND else ""
                print(
                    f"{number}/{len(sample)} {found.stage}{so_far} {found.seconds:.0f} s: {mutant}",
                    file=sys.stderr,
                )


if __name__ == "__main__":
    main()
