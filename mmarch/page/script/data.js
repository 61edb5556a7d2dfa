const DATA = JSON.parse(byId("data").textContent);
const RUNS = DATA.runs;
const SEEN = RUNS.filter((run) => run.history);
const MANY = RUNS.length > 1;
// Counts of each position, in order of `counted` in the data.
const TLBI = 0,
  UNFOLD = 1,
  FOLD = 2,
  INSTALL = 3,
  FAULT = 4;

/** Sum of the events of a column; null if the engine shows none of them, or not all of those that have a price. */
function total(run, counts, column) {
  if (column.prices)
    return column.events.some((event) => run.unseen.includes(event)) ? null : price(counts, column);
  if (column.events.every((event) => run.unseen.includes(event))) return null;
  return column.events.reduce((sum, event) => sum + (counts[event] ?? 0), 0);
}

/** Milliseconds of counts, by the cost profile. */
function price(counts, { prices }) {
  const nanoseconds = Object.entries(prices).reduce((sum, [event, ns]) => sum + ns * (counts[event] ?? 0), 0);
  return nanoseconds / 1e6;
}

/** A run's name where there are several, with its colour. */
function runName(run) {
  const number = RUNS.indexOf(run);
  return el("span", { className: `run-name run-${number}` }, run.name || run.result.workload.name);
}

for (const run of SEEN) {
  const past = run.history;
  const [call, task, page, line] = unpackColumns(past.operation, [2, 3]);
  past.at = { call, task, page, line };
  past.counts = unpackColumns(past.counts, []);
}
