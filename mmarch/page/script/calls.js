// The table by call: of one run all columns, of several one column for each run.

function drawCalls() {
  const place = section("calls", "By call");
  const holder = el("div");
  if (!MANY) {
    place.append(callsOfOne(RUNS[0]));
    return;
  }
  const draw = (number) => holder.replaceChildren(callsOfMany(DATA.border[number]));
  const options = DATA.border.map((column, number) => [number, column.heading]);
  const begin = DATA.border.findIndex((column) => column.groups.includes("tlbi"));
  place.append(choice("Count", options, draw, begin), holder);
  draw(begin);
}

function callsOfOne(run) {
  const columns = DATA.border;
  const operations = Object.entries(run.result.operations);
  const rows = operations.map(([name, operation]) => [
    textCell(name),
    numberCell(operation.count),
    ...columns.map((column) => numberCell(total(run, operation.events, column))),
  ]);
  rows.push([
    textCell("total"),
    numberCell(run.result.workload.operations),
    ...columns.map((column) => numberCell(total(run, run.result.totals, column))),
  ]);
  const headings = ["calls", ...columns.map((column) => column.heading)];
  const head = [{ heading: "call" }, ...headings.map((heading) => ({ heading, number: true }))];
  return sortableTable("Events by call", head, rows, { foot: 1 });
}

function callsOfMany(column) {
  const names = [...new Set(RUNS.flatMap((run) => Object.keys(run.result.operations)))];
  const rows = names.map((name) => {
    const values = RUNS.map((run) => total(run, run.result.operations[name]?.events ?? {}, column));
    return [textCell(name), ...sideBySide(values)];
  });
  rows.push([textCell("total"), ...sideBySide(RUNS.map((run) => total(run, run.result.totals, column)))]);
  const head = [{ heading: "call" }, ...RUNS.flatMap((run, number) => runColumns(run, number))];
  return sortableTable(`${column.heading} by call`, head, rows, { foot: 1 });
}
