// Totals: cards for one run, a table for several, and every counter there is.

function drawTotals() {
  const place = section("totals", "Totals");
  const [first] = RUNS;
  if (!MANY) {
    const shares = coverageRows().map(([name, [share]]) =>
      card(`${share}%`, name, { title: "of anonymous memory, when it was most" }),
    );
    place.append(
      el("div", { className: "cards" }, ...DATA.border.map((column) => totalCard(first, column)), ...shares),
    );
  }
  const columns = [{ heading: "event" }, ...RUNS.flatMap((run, number) => runColumns(run, number))];
  const rows = DATA.columns.map((column) => {
    const values = RUNS.map((run) => total(run, run.result.totals, column));
    return [eventCell(column), ...sideBySide(values)];
  });
  for (const [name, shares] of coverageRows()) {
    const cells = shares.flatMap((share, number) =>
      number ? [percentCell(share), textCell("")] : [percentCell(share)],
    );
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
  return card(shown(total(run, run.result.totals, column)), column.heading, {
    "data-events": column.groups.join(" "),
  });
}

function card(value, name, given) {
  return el("div", { className: "card", ...given }, el("strong", {}, value), el("span", {}, name));
}

function eventCell(column) {
  return {
    text: column.heading.trim(),
    value: column.heading.trim(),
    kind: column.heading.startsWith(" ") ? "nested" : "",
  };
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
