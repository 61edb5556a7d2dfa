// What ran and how, and what to know about it.

function drawSummary() {
  const names = [...new Set(RUNS.map((run) => run.result.workload.name))];
  const first = RUNS[0].result;
  const about = byId("run");
  about.append(el("h1", {}, names.join(", ")));
  if (names.length === 1) {
    about.append(
      el("p", { className: "lead" }, `${counted(first.workload.operations, "operation")} replayed`),
    );
  }
  about.append(el("div", { className: "runs" }, ...RUNS.map(runCard)));
  for (const note of pageNotes()) about.append(el("p", { className: "note" }, note));
}

/** Kernels that the release was compared with, each with its machines; "" of a kernel itself. */
function comparedWith({ configuration: chosen, rests_on: found }) {
  if (!found) return "";
  const kernels = Object.entries(found.kernels).map(
    ([kernel, machines]) => `Linux ${kernel} on ${machines.join(", ")}`,
  );
  const own = chosen.with.length || chosen.without.length ? ["no kernel is like this one"] : [];
  return [kernels.join(", ") || "no kernel", ...own].join("; ");
}

/** What ran and how: names and values. */
function runFacts({ result, versions }) {
  const { configuration: chosen, workload } = result;
  const facts = [
    ["architecture", chosen.arch],
    ["Linux", chosen.release],
    ["CPU", chosen.cpu],
    ["granule", chosen.granule],
    ["folios", chosen.folio_orders.map((each) => size(result.page_size * 2 ** each)).join(", ") || "none"],
    ["with", chosen.with.join(", ")],
    ["without", chosen.without.join(", ")],
    [
      "series",
      Object.entries(result.series)
        .map(([name, { title }]) => `${name}: ${title}`)
        .join(", "),
    ],
    ["compared with", comparedWith(result)],
    ["research alone", result.rests_on?.research.length && counted(result.rests_on.research.length, "feature")],
    ["memory", size(chosen.memory)],
    ["engine", result.engine],
    ["counted by", versions],
    [
      "parameters",
      Object.entries(workload.facts)
        .filter(([key]) => key.startsWith("parameter "))
        .map(([key, value]) => `${key.slice(10)}=${value}`)
        .join(", "),
    ],
    ["file", workload.source.split("/").pop()],
    [
      "recorded",
      ["program", "kernel", "arch", "date"]
        .map((key) => workload.facts[key])
        .filter(Boolean)
        .join(", "),
    ],
    ["seed", chosen.seed ? String(chosen.seed) : ""],
  ];
  return facts.filter(([, value]) => value);
}

function runCard(run) {
  const { result } = run;
  const facts = runFacts(run);
  const list = el(
    "dl",
    {},
    ...facts.map(([name, value]) => {
      const differs =
        MANY &&
        run !== RUNS[0] &&
        runFacts(RUNS[0]).every(([other, same]) => other !== name || same !== value);
      return el("div", { className: differs ? "differs" : "" }, el("dt", {}, name), el("dd", {}, value));
    }),
  );
  const failed = result.failures ?? [];
  const problems = failed.map((item) =>
    el(
      "p",
      { className: "problem" },
      `line ${item.line}: ${item.operation} failed with ${item.error}, ${item.count}×`,
    ),
  );
  const warned = result.warnings;
  if (warned) {
    problems.push(
      el("p", { className: "problem" }, `core-mm warned ${warned.count}×, first ${warned.first}`),
    );
  }
  return el(
    "article",
    { className: "run-card" },
    ...(MANY ? [el("h3", {}, runName(run))] : []),
    list,
    ...problems,
  );
}

/** What a reader has to know, once each, with the names of the runs that it is true of unless it is of all. */
function pageNotes() {
  const whose = new Map();
  for (const run of RUNS) {
    for (const note of notesOf(run)) whose.set(note, [...(whose.get(note) ?? []), run.name]);
  }
  return [...DATA.costs, ...[...whose].map(([note, names]) =>
    names.length === RUNS.length ? note : `${names.join(" and ")}: ${note}`,
  )];
}

function notesOf({ history: past, why }) {
  if (!past) return why ? [`No events over time and no page tables: ${why}`] : [];
  const notes = [];
  if (past.every > 1) {
    notes.push(
      `Thinned: the slider stops after every ${past.every}th operation, or the page would be too large.`,
    );
  }
  if (past.cells === null) notes.push("The page tables change too often to fit on a page; see mmarch map.");
  if (past.operations < past.rows) {
    notes.push(
      `The history ends after operation ${shown(past.operations - 1)} of ${shown(past.rows)}: its log was full.`,
    );
  }
  if (!past.measured) {
    notes.push(
      "Time line, causes, flame graph and page tables include set-up, which the totals do not count.",
    );
  }
  return notes;
}
