"""How many mechanical mutants of core-mm, arm64 and generic does mmarch notice?

`python -m tools.mutation_score --sample N --seed S` draws N mutants, as many of each kind, and puts each into a copy
of this tree, where the stages run one after the other until one notices it: a quick check, a full check, random
operations under the oracles, the measured steps. A stage that crashes or does not end has noticed it too. Several
seeds draw as often.

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
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import accumulate, chain, zip_longest
from pathlib import Path
from typing import Any

from tools.mutation_probe import write
from tools.mutation_purity import pure_names
from tools.mutation_results import results
from tools.mutation_stage import jobs
from tools.mutators import Mutant, mutants

ROOT = Path(__file__).parents[1]
MUTATED = ("core_mm", "arches/arm64", "arches/generic")
NEEDED = (*MUTATED, "arches", "mmarch", "tools", "tests/measured", "examples", "pyproject.toml")
STAGES = {"quick": 600, "full": 3600, "oracle": 3600, "measured": 1800}  # seconds
PROBED = ("quick", "full", "oracle")  # stages that run interpreted as well
SOURCES = ("load.",)  # checks that run nothing of what they check
PROBING = 4 * 3600  # seconds of a stage on the sound tree
EARLY = 8  # seconds, and files of measurements
Step = tuple[str, list[str]]  # a stage, and some of its jobs
SOUND = "sound"  # in place of a stage: nothing noticed it
IMAGE = 1800  # seconds
OPERATIONS = 20_000  # of the oracle, on each release


@dataclass(frozen=True)
class Found:
    """What became of a mutant.

    stage    that noticed it, or SOUND
    what     the check that failed, or how the process ended; of a survivor where it runs and what it changes there
    equal    of a survivor: memory equals that of the sound tree
    seconds  of all stages
    asked    of a survivor: the stages, with commas; further ones are asked when the command wants them
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
        return sorted({*sources, *self.seen.get(mutant.id, ())}, key=lambda job: self.seconds[job])


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


def drawn(all_of_them: Iterable[Mutant], sample: int, seed: int) -> list[Mutant]:
    """As many of each kind, in an order that the seed gives."""
    kinds: dict[str, list[Mutant]] = {}
    for mutant in all_of_them:
        kinds.setdefault(mutant.operator, []).append(mutant)
    rng = random.Random(seed)
    shuffled = [rng.sample(kind, len(kind)) for _, kind in sorted(kinds.items())]
    turns = (mutant for turn in zip_longest(*shuffled) for mutant in turn if mutant is not None)
    return [mutant for mutant, _ in zip(turns, range(sample), strict=False)]


def digest(root: Path) -> str:
    """Of everything that takes part in a verdict."""
    total = hashlib.sha256()
    for place in NEEDED:
        for file in sorted(files_of(root / place)):
            total.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes())
    return total.hexdigest()[:16]


def files_of(place: Path) -> Iterable[Path]:
    """A file, or all below a folder but what Python makes."""
    if place.is_file():
        return [place]
    return (file for file in place.rglob("*") if file.is_file() and "__pycache__" not in file.parts)


class Tree:
    """A copy of the source that takes one mutant at a time."""

    def __init__(self, root: Path, place: Path, operations: int = OPERATIONS) -> None:
        self.place, self.before, self.operations = place, "", operations
        for name in NEEDED:
            for file in files_of(root / name):
                copy = place / file.relative_to(root)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, copy)

    def with_(self, mutant: Mutant) -> None:
        """Put it in."""
        file = self.place / mutant.path
        self.before = file.read_text(encoding="utf-8")
        file.write_text(mutant.applied(self.before), encoding="utf-8")

    def sound(self, mutant: Mutant) -> None:
        """Take it out; the source that the copy was made of may have changed since."""
        (self.place / mutant.path).write_text(self.before, encoding="utf-8")

    def stage(self, name: str, seed: int, limit: int, jobs: Sequence[str] = ()) -> tuple[int, str]:
        """Exit code, and the last line of what a stage printed; code 124 if it did not end."""
        code, told = self.told(["tools.mutation_stage", name, str(seed), *jobs], limit)
        return code, (told.strip().splitlines() or [f"exit {code}"])[-1]

    def told(self, arguments: Sequence[str], limit: int) -> tuple[int, str]:
        """Exit code and output of a module run in the tree."""
        command = [sys.executable, "-B", "-m", *arguments]
        environment = {
            **os.environ,
            "PYTHONPATH": str(self.place),
            "MMARCH_CACHE_DIR": str(self.place / ".cache"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "MUTATION_OPERATIONS": str(self.operations),
        }
        with subprocess.Popen(
            command, cwd=self.place, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True,
        ) as process:  # fmt: skip
            try:
                told, _ = process.communicate(timeout=limit)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                return 124, f"no end after {limit} s"
            finally:
                end(process.pid)
        return process.returncode, told

    def probed(
        self, name: str, seed: int, sample: Sequence[Mutant], pure: Mapping[str, list[str]]
    ) -> list[str]:
        """Lines of tools/mutation_probe.py about a stage, whose jobs all pass."""
        path = self.place / "mutants.json"
        write(path, sample, dict(pure))
        code, told = self.told(["tools.mutation_probe", str(path), name, str(seed)], PROBING)
        lines = told.strip().splitlines()
        if code:
            sys.exit(f"the sound tree cannot be probed in stage {name}: {(lines or [f'exit {code}'])[-1]}")
        return lines


def end(group: int) -> None:
    """Workers that outlive their stage."""
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        pass


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


def in_order(mutant: Mutant, stages: Sequence[str], probed: Mapping[str, Probed]) -> list[Step]:
    """One stage after the other, each with the jobs that can notice the mutant; none: all of them."""
    chosen = {name: probed[name].jobs(mutant) for name in stages if name in probed}
    return [(name, chosen.get(name, [])) for name in stages if chosen.get(name, True)]


def eagerly(
    mutant: Mutant, stages: Sequence[str], probed: Mapping[str, Probed], measured: Sequence[str]
) -> list[Step]:
    """First of each stage what takes least, then what is left of each: most mutants are noticed early."""
    first, rest = [], []
    for name in stages:
        chosen = probed[name].jobs(mutant) if name in probed else list(measured)
        times = (
            accumulate(probed[name].seconds[job] for job in chosen) if name in probed else range(len(chosen))
        )
        early = sum(spent <= EARLY for spent in times)
        first.append((name, chosen[:early]))
        rest.append((name, chosen[early:]))
    return [(name, chosen) for name, chosen in (*first, *rest) if chosen]


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
    tree: Tree, journal: Journal, sample: Sequence[Mutant], seed: int, stages: Sequence[str]
) -> dict[str, Probed]:
    """What the jobs of each stage can notice, found out once; the sound tree has to pass them all."""
    pure = pure_names(sorted({mutant.path for mutant in sample}))
    found = {}
    for name in stages:
        if name not in journal.probed:
            lines = [json.loads(line) for line in tree.probed(name, seed, sample, pure)]
            for line in lines:
                if line["noticed"]:
                    sys.exit(f"the sound tree fails stage {name}: {line['noticed']}")
            journal.add({"probed": {name: lines}})
            journal.probed[name] = lines
        found[name] = Probed()
        for line in journal.probed[name]:
            found[name].add(line, sample)
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
        "--eager",
        action="store_true",
        help="what takes least first, of every stage: the same score sooner, whichever stage notices",
    )
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
    draws = {seed: drawn(every(ROOT), wanted.sample, seed) for seed in wanted.seed}
    sample = list(dict.fromkeys(chain.from_iterable(zip(*draws.values(), strict=True))))
    if wanted.list:
        print(*sample, sep="\n")
        return
    seed = wanted.seed[0]
    head = {
        "tree": digest(ROOT),
        "seed": wanted.seed,
        "sample": wanted.sample,
        "operations": wanted.operations,
    }
    journal = Journal(wanted.journal, head)
    with tempfile.TemporaryDirectory(prefix="mutation-") as place:
        tree = Tree(ROOT, Path(place), wanted.operations)
        probed = probe(tree, journal, sample, seed, [name for name in stages if name in PROBED])
        if not journal.image and not wanted.no_images:
            journal.add({"image": tree.stage("image", seed, IMAGE)[1]})
        measured = [str(job) for job in jobs("measured", seed)]
        for number, mutant in enumerate(sample, 1):
            before = journal.found.get(mutant.id)
            wanting = before.left(stages) if before else stages
            if wanting:
                steps = (
                    eagerly(mutant, wanting, probed, measured)
                    if wanted.eager
                    else in_order(mutant, wanting, probed)
                )
                found = judge(tree, mutant, seed, steps, probed, journal.image)
                asked = ",".join(filter(None, [before.asked if before else "", *wanting]))
                found = replace(found, asked=asked) if found.stage == SOUND else found
                journal.found[mutant.id] = found
                journal.add(asdict(found))
                print(
                    f"{number}/{len(sample)} {found.stage} {found.seconds:.0f} s: {mutant}", file=sys.stderr
                )
    for drawn_by, draw in draws.items():
        print(f"seed {drawn_by}: {summary(draw, journal.found)}")
    sys.exit(any(score([(m, journal.found[m.id]) for m in draw]) < wanted.least for draw in draws.values()))


if __name__ == "__main__":
    main()
