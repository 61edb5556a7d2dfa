// A sweep: a line for each value of one axis over the values of another one, and the same as a table.

const DATA = JSON.parse(byId("data").textContent);
const { axes: AXES, counts: COUNTS, size: ROWS } = DATA;
const LINES = 4;
const LEFT = 90;
const RIGHT = 20;
const TOP = 16;
const BOTTOM = 44;
const WIDE = 1000;
const TALL = 380;
const STATE = { x: 0, line: -1, count: 0, only: AXES.map(() => -1) };

/** The values that a row's axis has, as text. */
function valueOf(axis, number) {
  return AXES[axis].values[number] || "–";
}

function drawIntro() {
  const about = byId("run");
  about.append(el("h1", {}, DATA.name));
  const said = [counted(DATA.points, "point")];
  if (DATA.failed) said.push(`${shown(DATA.failed)} failed`);
  if (DATA.missing) said.push(`${shown(DATA.missing)} not counted yet`);
  about.append(el("p", { className: "lead" }, said.join(", ")));
  for (const note of DATA.notes) about.append(el("p", { className: "note" }, note));
}

/** A menu; `chosen` is called with the number of an option, from `first` on. */
function menu(label, options, selected, chosen, first = 0) {
  const list = el("select", {});
  options.forEach((text, number) =>
    list.append(el("option", { value: number + first, selected: number + first === selected }, text)),
  );
  list.addEventListener("change", () => chosen(Number(list.value)));
  return el("label", {}, label, list);
}

function controls() {
  const names = AXES.map((axis) => axis.name);
  const set = (key) => (number) => {
    STATE[key] = number;
    redraw();
  };
  const found = el("div", { className: "controls" });
  found.append(
    menu("count", COUNTS.map((count) => count.heading), STATE.count, set("count")),
    menu("across", names, STATE.x, set("x")),
    menu("a line for each", ["nothing", ...names], STATE.line, set("line"), -1),
  );
  AXES.forEach((axis, number) => {
    const every = ["all", ...axis.values.map((value) => value || "–")];
    const only = (value) => {
      STATE.only[number] = value;
      redraw();
    };
    found.append(menu(`only ${axis.name}`, every, STATE.only[number], only, -1));
  });
  return found;
}

/** Least, greatest, sum and number of the points in each cell: [value of x][line]. */
function cells() {
  const lines = STATE.line < 0 ? 1 : AXES[STATE.line].values.length;
  const found = AXES[STATE.x].values.map(() => Array.from({ length: lines }, () => null));
  const { least, most } = COUNTS[STATE.count];
  for (let row = 0; row < ROWS; row += 1) {
    if (least[row] === null) continue;
    if (STATE.only.some((value, axis) => value >= 0 && AXES[axis].codes[row] !== value)) continue;
    const line = STATE.line < 0 ? 0 : AXES[STATE.line].codes[row];
    const place = found[AXES[STATE.x].codes[row]];
    const upper = most ? most[row] : least[row];
    const cell = (place[line] ??= { least: least[row], most: upper, sum: 0, number: 0 });
    cell.least = Math.min(cell.least, least[row]);
    cell.most = Math.max(cell.most, upper);
    cell.sum += (least[row] + upper) / 2;
    cell.number += 1;
  }
  return found;
}

function lineNames() {
  return STATE.line < 0
    ? [COUNTS[STATE.count].heading]
    : AXES[STATE.line].values.map((_, number) => valueOf(STATE.line, number));
}

function drawChart(found) {
  const most = Math.max(1, ...found.flat().map((cell) => (cell ? cell.most : 0)));
  const step = (WIDE - LEFT - RIGHT) / Math.max(1, found.length);
  const x = (number, line, lines) => LEFT + step * (number + 0.5) + (lines > 1 ? (line - (lines - 1) / 2) * 3 : 0);
  const y = (value) => TALL - BOTTOM - ((TALL - TOP - BOTTOM) * value) / most;
  const names = lineNames();
  const chart = svg("svg", {
    viewBox: `0 0 ${WIDE} ${TALL}`,
    class: "grid-chart",
    role: "img",
    "aria-label": `${COUNTS[STATE.count].heading} by ${AXES[STATE.x].name}; at most ${shown(most)}`,
  });
  for (const part of [0, 0.25, 0.5, 0.75, 1]) {
    const at = y(most * part);
    chart.append(svg("line", { class: "rule", x1: LEFT, x2: WIDE - RIGHT, y1: at, y2: at }));
    chart.append(svg("text", { x: LEFT - 8, y: at + 4, "text-anchor": "end" }, shown(Math.round(most * part))));
  }
  const every = Math.ceil(found.length / 16);
  found.forEach((_, number) => {
    if (number % every) return;
    const text = valueOf(STATE.x, number);
    const short = text.length > 18 ? `${text.slice(0, 17)}…` : text;
    chart.append(svg("text", { x: x(number, 0, 1), y: TALL - BOTTOM + 20, "text-anchor": "middle" }, short));
  });
  names.slice(0, LINES).forEach((name, line) => {
    const seen = found.map((row, number) => [number, row[line]]).filter(([, cell]) => cell);
    const lines = Math.min(LINES, names.length);
    const group = svg("g", { class: `run-${line}` }, svg("title", {}, name));
    const spots = seen.map(([number, cell]) => [x(number, line, lines), y(cell.sum / cell.number), cell]);
    group.append(svg("polyline", { class: "curve", points: spots.map(([a, b]) => `${a},${b}`).join(" ") }));
    for (const [a, b, cell] of spots) {
      if (cell.least !== cell.most)
        group.append(svg("line", { class: "range", x1: a, x2: a, y1: y(cell.least), y2: y(cell.most) }));
      group.append(svg("circle", { class: "dot", cx: a, cy: b, r: 4 }));
    }
    chart.append(group);
  });
  const legend = el("p", { className: "legend" });
  names.slice(0, LINES).forEach((name, line) => {
    legend.append(el("span", { className: `run-name run-${line}` }, name));
  });
  if (names.length > LINES) legend.append(` and ${names.length - LINES} more in the table`);
  return [legend, chart];
}

function cellText(cell) {
  if (!cell) return "–";
  return cell.least === cell.most ? shown(cell.least) : `${shown(cell.least)}–${shown(cell.most)}`;
}

function drawTable(found) {
  const head = [AXES[STATE.x].name, ...lineNames()];
  const rows = found.map((row, number) =>
    el(
      "tr",
      {},
      el("th", { scope: "row" }, valueOf(STATE.x, number)),
      ...row.map((cell) => el("td", { className: "number" }, cellText(cell))),
    ),
  );
  const titles = head.map((text, number) =>
    el("th", { scope: "col", className: number ? "plain number" : "plain" }, text),
  );
  return el(
    "div",
    { className: "scroll" },
    el("table", {}, el("thead", {}, el("tr", {}, ...titles)), el("tbody", {}, ...rows)),
  );
}

function redraw() {
  const found = cells();
  byId("drawn").replaceChildren(...drawChart(found));
  const rest = AXES.filter((_, axis) => axis !== STATE.x && axis !== STATE.line && STATE.only[axis] < 0);
  const mixed = found.flat().some((cell) => cell && cell.least !== cell.most);
  const why = mixed
    ? `A line is the middle of points that differ in ${rest.map((axis) => axis.name).join(", ")}; the bar behind it and the cells go from the least to the greatest.`
    : "All points of a cell are equal.";
  byId("listed").replaceChildren(el("p", { className: "note" }, why), drawTable(found));
}

function drawGrid() {
  drawIntro();
  const chart = section("chart", "Chart");
  const table = section("table", "Table");
  if (!AXES.length || !ROWS) {
    chart.append(el("p", { className: "note" }, "There is nothing to draw."));
    return;
  }
  STATE.x = DATA.x;
  STATE.line = DATA.line;
  STATE.count = DATA.count;
  chart.append(controls(), el("div", { id: "drawn" }));
  table.append(el("div", { id: "listed" }));
  redraw();
}

drawGrid();
startTheme();
byId("footer").append(`mmarch ${DATA.version} · counts are exact and reproducible`);
