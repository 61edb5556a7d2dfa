// What ran and how, and the totals.

function drawSummary() {
  const names = [...new Set(RUNS.map((run) => run.result.workload.name))];
  const first = RUNS[0].result;
  const about = byId("run");
  about.append(el("h1", {}, names.join(", ")));
  if (names.length === 1) {
    about.append(el("p", { className: "lead" }, `${counted(first.workload.operations, "operation")} replayed`));
  }
  about.append(el("div", { className: "runs" }, ...RUNS.map(runCard)));
  for (const note of pageNotes()) about.append(el("p", { className: "note" }, note));
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
    ["memory", size(chosen.memory)],
    ["engine", result.engine],
    ["counted by", versions],
    ["file", workload.source.split("/").pop()],
    ["recorded", ["program", "kernel", "arch", "date"].map((key) => workload.facts[key]).filter(Boolean).join(", ")],
    ["seed", chosen.seed ? String(chosen.seed) : ""],
  ];
  return facts.filter(([, value]) => value);
}

function runCard(run) {
  const { result } = run;
  const facts = runFacts(run);
  const list = el("dl", {}, ...facts.map(([name, value]) => {
    const differs = MANY && run !== RUNS[0] && runFacts(RUNS[0]).every(([other, same]) => other !== name || same !== value);
    return el("div", { className: differs ? "differs" : "" }, el("dt", {}, name), el("dd", {}, value));
  }));
  const failed = result.failures ?? [];
  const problems = failed.map((item) =>
    el("p", { className: "problem" }, `line ${item.line}: ${item.operation} failed with ${item.error}, ${item.count}×`),
  );
  const warned = result.warnings;
  if (warned) {
    problems.push(el("p", { className: "problem" }, `core-mm warned ${warned.count}×, first ${warned.first}`));
  }
  return el("article", { className: "run-card" }, ...(MANY ? [el("h3", {}, runName(run))] : []), list, ...problems);
}

/** What a reader has to know, once each, with the names of the runs that it is true of unless it is of all. */
function pageNotes() {
  const whose = new Map();
  for (const run of RUNS) {
    for (const note of notesOf(run)) whose.set(note, [...(whose.get(note) ?? []), run.name]);
  }
  return [...whose].map(([note, names]) => (names.length === RUNS.length ? note : `${names.join(" and ")}: ${note}`));
}

function notesOf({ history: past, why }) {
  if (!past) return why ? [`No time line and no page tables: ${why}`] : [];
  const notes = [];
  if (past.every > 1) {
    notes.push(`Thinned: the slider stops after every ${past.every}th operation, or the page would be too large.`);
  }
  if (past.cells === null) notes.push("The page tables change too often to fit on a page; see mmarch map.");
  if (past.operations < past.rows) {
    notes.push(`The history ends after operation ${shown(past.operations - 1)} of ${shown(past.rows)}: its log was full.`);
  }
  if (!past.measured) {
    notes.push("Time line, causes, flame graph and page tables include set-up, which the totals do not count.");
  }
  return notes;
}

function drawTotals() {
  const place = section("totals", "Totals");
  const [first] = RUNS;
  if (!MANY) {
    const shares = coverageRows().map(([name, [share]]) => card(`${share}%`, name, { title: "of anonymous memory, when it was most" }));
    place.append(el("div", { className: "cards" }, ...DATA.border.map((column) => totalCard(first, column)), ...shares));
  }
  const columns = [{ heading: "event" }, ...RUNS.flatMap((run, number) => runColumns(run, number))];
  const rows = DATA.columns.map((column) => {
    const values = RUNS.map((run) => total(run, run.result.totals, column));
    return [eventCell(column), ...sideBySide(values)];
  });
  for (const [name, shares] of coverageRows()) {
    const cells = shares.flatMap((share, number) => (number ? [percentCell(share), textCell("")] : [percentCell(share)]));
    rows.push([eventCell({ heading: name }), ...cells]);
  }
  const table = sortableTable("Totals of each event", columns, rows);
  const every = sortableTable("Every counter", columns, everyCounter());
  place.append(
    MANY ? table : el("details", {}, el("summary", {}, "TLBIs by instruction, and more"), table),
    el("details", {}, el("summary", {}, "Every counter"), every),
  );
}

function totalCard(run, column) {
  return card(shown(total(run, run.result.totals, column)), column.heading, { "data-events": column.groups.join(" ") });
}

function card(value, name, given) {
  return el("div", { className: "card", ...given }, el("strong", {}, value), el("span", {}, name));
}

function eventCell(column) {
  return { text: column.heading.trim(), value: column.heading.trim(), kind: column.heading.startsWith(" ") ? "nested" : "" };
}

function everyCounter() {
  const names = [...new Set(RUNS.flatMap((run) => Object.keys(run.result.totals)))];
  return names.map((name) => {
    const values = RUNS.map((run) => total(run, run.result.totals, { events: [name] }));
    return [{ node: el("code", {}, name), value: name }, ...sideBySide(values)];
  });
}

/** The headings of a run: its name, and how it differs from the first one. */
function runColumns(run, number) {
  const name = MANY ? run.name : "count";
  const own = { heading: name, number: true };
  return number ? [own, { heading: `${name} / ${RUNS[0].name}`, number: true }] : [own];
}

/** A value of each run, those after the first with how they differ. */
function sideBySide(values) {
  return values.flatMap((value, number) =>
    number ? [numberCell(value), changeCell(values[0], value)] : [numberCell(value)],
  );
}
