"""How what came of a run of the suite is written: table, json, junit, tap, lkml."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from xml.etree import ElementTree

from mmarch.check.letter import letter
from mmarch.check.reach.show import coverage
from mmarch.check.results import BAD, Report, Result
from mmarch.table import indented, wrap


def render(report: Report, form: str) -> str:
    """As `form`, one of FORMATS."""
    return FORMATS[form](report)


def alike(results: Sequence[Result]) -> list[list[Result]]:
    """Failures, with those of other releases that say the same, word for word."""
    found: dict[tuple[object, ...], list[Result]] = {}
    for result in results:
        said = result.status, result.check, result.message, result.steps, result.reason, result.printed
        found.setdefault(said, []).append(result)
    return list(found.values())


def details(report: Report, result: Result, *others: Result) -> list[str]:
    """Everything that helps with one failure, which `others` are too, on other releases."""
    releases = ", ".join(one.release for one in (result, *others))
    lines = wrap(f"{result.status.upper()} {result.check} [{releases}]: {result.title}")
    for line in result.message.splitlines():
        lines += indented(line, 2)
    if result.reason:
        lines += indented(f"expected to fail: {result.reason}", 2)
    if result.hooks:
        lines += indented(f"hooks   {', '.join(result.hooks)}", 2)
    if result.source:
        lines += indented(f"source  {result.source}", 2)
    if result.steps:
        lines.append("  steps")
        for number, step in enumerate(result.steps, 1):
            lines += indented(f"{number}. {step}", 4)
    if result.printed:
        lines += ["  it printed", *[f"    {line}" for line in result.printed.splitlines()[:10]]]
    lines.append(f"  again   {report.repro(result)}")
    return lines


def skips(report: Report) -> Mapping[str, list[str]]:
    """Reason -> the checks that were skipped for it; releases are told apart only where they differ."""
    found: dict[str, dict[str, list[str]]] = {}
    releases = {result.release for result in report.results}
    for result in report.results:
        if result.status == "skip":
            found.setdefault(result.reason, {}).setdefault(result.check, []).append(result.release)
    return {
        reason: [
            check if len(on) == len(releases) else f"{check} [{', '.join(on)}]"
            for check, on in checks.items()
        ]
        for reason, checks in found.items()
    }


def in_tiers(report: Report, skipped: list[str]) -> list[str]:
    """The same checks; of a tier that is skipped whole, and alike, its name alone."""
    tiers: dict[str, set[str]] = {}
    for result in report.results:
        tiers.setdefault(result.check.partition(".")[0], set()).add(result.check)
    whole = {tier for tier, checks in tiers.items() if len(checks) > 1 and checks <= set(skipped)}
    return list(
        dict.fromkeys(tier if (tier := name.partition(".")[0]) in whole else name for name in skipped)
    )


def _configuration(report: Report) -> Iterator[str]:
    """What differs from the architecture's own, in a line."""
    chosen = {
        "cpu": report.cpu, "granule": report.granule,
        "with": ", ".join(report.with_), "without": ", ".join(report.without),
    }  # fmt: skip
    if said := "; ".join(f"{name} {value}" for name, value in chosen.items() if value):
        yield from wrap(said)


def table(report: Report) -> str:
    """For people: a line for each tier and release, then every failure in full."""
    lines = [
        f"{report.arch} ({report.distribution} {report.version}), suite {report.suite}, seed {report.seed}"
        f"{', quick' if report.quick else ''}",
        *_configuration(report),
        "",
    ]
    groups: dict[tuple[str, str], list[Result]] = {}
    for result in report.results:
        groups.setdefault((result.check.partition(".")[0], result.release), []).append(result)
    for (tier, release), results in groups.items():
        found = Counter(result.status for result in results)
        shown = ", ".join(f"{number} {status}" for status, number in found.items())
        lines.append(f"{tier:13} {release:11} {sum(r.seconds for r in results):7.1f} s  {shown}")
    lines.append("")
    for result in report.results:
        if result.did:
            lines += [*wrap(f"{result.name}: {result.did}"), ""]
    for same in alike([result for result in report.results if result.status in (*BAD, "xfail")]):
        lines += [*details(report, *same), ""]
    for reason, skipped in skips(report).items():
        lines += wrap(f"{len(skipped)} skipped, {reason}: {', '.join(in_tiers(report, skipped))}")
    if skips(report):
        lines.append("")
    if report.coverage:
        lines += coverage(report.coverage)
    lines.append(
        f"{'ok' if report.ok else 'NOT OK'}: {report.found}{'' if report.complete else ' (incomplete)'}"
    )
    return "\n".join(lines)


def json(report: Report) -> str:
    """Everything, with a schema."""
    return report.model_dump_json(indent=2, by_alias=True)


def junit(report: Report) -> str:
    """JUnit XML, as CI servers read it."""
    suite = ElementTree.Element(
        "testsuite", name=f"mmarch check {report.arch}", tests=str(len(report.results))
    )
    for result in report.results:
        tier, _, name = result.check.partition(".")
        case = ElementTree.SubElement(
            suite, "testcase", classname=f"{report.arch}.{tier}", name=f"{name}[{result.release}]",
            time=f"{result.seconds:.3f}",
        )  # fmt: skip
        if result.status in ("skip", "xfail"):
            ElementTree.SubElement(case, "skipped", message=_xml(result.reason))
        elif result.status in BAD:
            kind = "error" if result.status == "error" else "failure"
            element = ElementTree.SubElement(case, kind, message=_xml(result.message.partition("\n")[0]))
            element.text = _xml("\n".join(details(report, result)))
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True)


def _xml(text: str) -> str:
    """Without characters that XML cannot hold."""
    return "".join(c if c in "\t\n" or c >= " " else "?" for c in text)


def tap(report: Report) -> str:
    """TAP version 14."""
    lines = ["TAP version 14", f"1..{len(report.results)}"]
    for number, result in enumerate(report.results, 1):
        word = "not ok" if result.status in (*BAD, "xfail") else "ok"
        directive = {"skip": f" # SKIP {result.reason}", "xfail": f" # TODO {result.reason}"}.get(
            result.status, ""
        )
        lines.append(f"{word} {number} - {result.name}{directive}".replace("\n", " "))
        if result.status in BAD:
            lines += [f"# {line}" for line in details(report, result)]
    return "\n".join(lines)


FORMATS: Mapping[str, Callable[[Report], str]] = {
    "table": table, "json": json, "junit": junit, "tap": tap, "lkml": letter,
}  # fmt: skip
