// Faults, TLBIs and conversions over the operations of a run: a small chart each, on the same axis.

const LANES = [
  ["faults", [FAULT]],
  ["TLBIs", [TLBI]],
  ["unfolds", [UNFOLD]],
  ["folds and contiguous installs", [FOLD, INSTALL]],
];
const WIDE = 1000;
const TALL = 90;
const BINS = 250;

function drawTimeline() {
  if (!SEEN.length && !RUNS.some(fullest)) return;
  const place = section("timeline", "Time line");
  const hint = SEEN.length
    ? "How many of each in equal parts of the run; click to see the page tables there."
    : "";
  place.append(el("p", { className: "note" }, hint));
  if (MANY && SEEN.length) place.append(el("p", { className: "legend" }, ...SEEN.map(runName)));
  const lengths = RUNS.map((run) => run.history?.operations ?? run.result.workload.operations);
  const last = Math.max(1, ...lengths) - 1;
  for (const [name, columns] of SEEN.length ? LANES : []) place.append(lane(name, columns, last));
  place.append(...coverageLanes(last));
  place.append(el("div", { className: "axis" }, el("span", {}, "operation 0"), el("span", {}, shown(last))));
}

/** How many events fall into each of equal parts of the operations. */
function binned(past, columns, last) {
  const bins = new Float64Array(Math.min(BINS, last + 1));
  const every = past.every;
  for (const column of columns) {
    past.counts[column].forEach((count, position) => {
      bins[Math.min(bins.length - 1, Math.floor((position * every * bins.length) / (last + 1)))] += count;
    });
  }
  return bins;
}

function lane(name, columns, last) {
  const each = SEEN.map((run) => binned(run.history, columns, last));
  const most = Math.max(1, ...each.map((bins) => Math.max(...bins)));
  const sums = each.map((bins) => shown(bins.reduce((a, b) => a + b, 0)));
  const words = SEEN.map((run, number) => `${MANY ? `${run.name}: ` : ""}${sums[number]}`).join(", ");
  const chart = svg("svg", {
    viewBox: `0 0 ${WIDE} ${TALL}`,
    preserveAspectRatio: "none",
    role: "img",
    class: "lane-chart",
    "aria-label": `${name} over the run: ${words}; at most ${most} in one of ${each[0].length} parts`,
  });
  each.forEach((bins, number) => {
    chart.append(
      svg("path", {
        d: outline(bins, most),
        class: `run-${RUNS.indexOf(SEEN[number])} ${MANY ? "line" : "area"}`,
      }),
    );
  });
  return laneOf(name, words, shown(most), chart, last);
}

/** A chart under its heading, with the mark of where the slider is. */
function laneOf(name, words, most, chart, last) {
  const cursor = svg("line", { class: "cursor", x1: 0, x2: 0, y1: 0, y2: TALL });
  chart.append(cursor);
  document.addEventListener("position", (event) => {
    const x = (WIDE * (event.detail + 0.5)) / (last + 1);
    cursor.setAttribute("x1", x);
    cursor.setAttribute("x2", x);
  });
  chart.addEventListener("click", (event) => {
    const box = chart.getBoundingClientRect();
    if (SIDES.length) goTo(Math.round(((event.clientX - box.left) / box.width) * last));
  });
  const head = [el("b", {}, name), el("span", {}, words), el("span", { className: "peak" }, `peak ${most}`)];
  return el("div", { className: "lane" }, el("div", { className: "lane-head" }, ...head), chart);
}

function outline(bins, most) {
  const step = WIDE / bins.length;
  let path = `M0 ${TALL}`;
  bins.forEach((count, number) => {
    const y = (TALL - ((TALL - 4) * count) / most).toFixed(1);
    path += `L${(number * step).toFixed(1)} ${y}L${((number + 1) * step).toFixed(1)} ${y}`;
  });
  return `${path}L${WIDE} ${TALL}`;
}
