// Stepping through a run: slider, buttons, keys and permalink, and all that follows them.

const STEP = {
  operation: 0,
  task: null,
  mapping: null,
  last: 0,
  stride: 1,
  upper: false,
  shown: false,
  linking: 0,
  playing: 0,
};

let SIDES = [];

function drawMap() {
  const drawn = SEEN.filter((run) => run.history.cells && run.history.positions);
  if (!drawn.length) return;
  const place = section("map", "Page tables");
  readColors();
  document.addEventListener("theme", readColors);
  SIDES = drawn.map((run) => new Side(run));
  STEP.stride = Math.max(...drawn.map((run) => run.history.every));
  STEP.last = Math.ceil(Math.max(...drawn.map((run) => run.history.operations)) / STEP.stride) - 1;
  place.append(drawStepper(), drawLegend());
  place.append(el("div", { className: `sides sides-${SIDES.length}` }, ...SIDES.map((side) => side.node)));
  document.addEventListener("theme", update);
  addEventListener("keydown", pressed);
  addEventListener("hashchange", () => readLink() && update());
  addEventListener("beforeprint", () => SIDES.forEach((side) => side.map.drawAll()));
  STEP.operation = busiest(SIDES[0].past);
  readLink();
  update();
}

function drawStepper() {
  const button = (id, sign, label, act) => {
    const made = el("button", { type: "button", id, "aria-label": label, title: label }, sign);
    made.addEventListener("click", act);
    return made;
  };
  const slider = el("input", {
    type: "range",
    id: "slider",
    min: "0",
    max: String(STEP.last),
    step: "1",
    "aria-label": "Operation",
  });
  slider.addEventListener("input", () => goToStep(Number(slider.value)));
  const task = el("select", { id: "task", "aria-label": "Task" });
  task.addEventListener("change", () => {
    STEP.task = task.value === "" ? null : Number(task.value);
    STEP.mapping = null;
    update();
  });
  const upper = el("input", { type: "checkbox", id: "upper" });
  upper.addEventListener("change", () => {
    STEP.upper = upper.checked;
    update();
  });
  const moves = [
    button("first", "|◀", "First operation (Home)", () => goToStep(0)),
    button("back", "◀", "One back (←)", () => goToStep(STEP.operation - 1)),
    button("play", "play", "Play (space)", play),
    button("next", "▶", "One on (→)", () => goToStep(STEP.operation + 1)),
    button("end", "▶|", "Last operation (End)", () => goToStep(STEP.last)),
    button("next-tlbi", "TLBI ▸", "Next with TLBIs (T)", () => seek([TLBI])),
    button("next-fold", "fold ▸", "Next with a fold or unfold (F)", () => seek([UNFOLD, FOLD, INSTALL])),
  ];
  return el(
    "div",
    { className: "stepper", role: "group", "aria-label": "Step through the run" },
    el("div", { className: "moves" }, ...moves, stepChoice(), task, el("label", {}, upper, " upper levels")),
    slider,
    el("p", { id: "now", "aria-live": "polite" }),
    el("p", { id: "pointed" }),
  );
}

/** Steps of a scenario by name. */
function stepChoice() {
  const { steps } = SIDES[0].past;
  if (!steps.length) return "";
  const made = el(
    "select",
    { id: "step", "aria-label": "Step" },
    el("option", { value: "" }, "after step …"),
  );
  for (const [label, , last] of steps) made.append(el("option", { value: String(last - 1) }, label));
  made.addEventListener("change", () => made.value !== "" && goTo(Number(made.value)));
  return made;
}

/** Where to begin: the operation that converts most blocks, or makes most TLBIs. */
function busiest(past) {
  const sums = (columns) =>
    past.counts[0].map((_, position) =>
      columns.reduce((sum, column) => sum + past.counts[column][position], 0),
    );
  for (const columns of [[UNFOLD, FOLD, INSTALL], [TLBI]]) {
    const counts = sums(columns);
    const most = counts.reduce((a, b) => Math.max(a, b), 0);
    if (most) return Math.floor((counts.indexOf(most) * past.every) / STEP.stride);
  }
  return STEP.last;
}

/** Go to an operation by its number. */
function goTo(operation) {
  goToStep(Math.floor(operation / STEP.stride));
}

function goToStep(number) {
  const wanted = Math.min(STEP.last, Math.max(0, number));
  if (wanted === STEP.operation) return;
  STEP.operation = wanted;
  update();
}

/** The next position with any of these counts, in any run. */
function seek(columns) {
  const every = SIDES.map((side) => side.past);
  for (let at = STEP.operation + 1; at <= STEP.last; at++) {
    const found = every.some((past) => {
      const position = Math.floor((at * STEP.stride) / past.every);
      return columns.some((column) => past.counts[column][position]);
    });
    if (found) {
      goToStep(at);
      return;
    }
  }
}

function play() {
  if (STEP.playing) {
    clearInterval(STEP.playing);
    STEP.playing = 0;
  } else {
    const stride = Math.max(1, Math.round(STEP.last / 400));
    if (STEP.operation === STEP.last) goToStep(0);
    STEP.playing = setInterval(() => {
      goToStep(STEP.operation + stride);
      if (STEP.operation === STEP.last) play();
    }, 60);
  }
  byId("play").textContent = STEP.playing ? "stop" : "play";
}

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest?.("input:not(#slider), select, .scroll, .strips-frame")) return; // these have keys of their own
  const onSlider = event.target.id === "slider";
  const far = Math.max(1, Math.round(STEP.last / 50));
  const acts = {
    ArrowLeft: () => goToStep(STEP.operation - (event.shiftKey ? far : 1)),
    ArrowRight: () => goToStep(STEP.operation + (event.shiftKey ? far : 1)),
    Home: () => goToStep(0),
    End: () => goToStep(STEP.last),
    t: () => seek([TLBI]),
    f: () => seek([UNFOLD, FOLD, INSTALL]),
    " ": play,
  };
  const act = acts[event.key];
  if (!act || (!onSlider && ["Home", "End", " "].includes(event.key))) return; // elsewhere they scroll and press
  event.preventDefault();
  act();
}

function chooseMapping(mapping) {
  STEP.mapping = STEP.mapping?.start === mapping.start ? null : mapping;
  update();
}

/** Draw everything as it is at the position. */
function update() {
  for (const side of SIDES) side.goTo();
  for (const side of SIDES) side.look();
  const known = SIDES.some((side) => side.mappings.some(({ start }) => start === STEP.mapping?.start));
  if (STEP.mapping && !known) STEP.mapping = null;
  for (const side of SIDES) side.show(SIDES[0]);
  byId("slider").value = String(STEP.operation);
  byId("slider").setAttribute("aria-valuetext", `operation ${STEP.operation * STEP.stride}`);
  byId("now").replaceChildren(...nowWords());
  showTasks();
  if (STEP.shown) linkLater();
  STEP.shown = true;
  document.dispatchEvent(new CustomEvent("position", { detail: STEP.operation * STEP.stride }));
}

/** The operation in words. */
function nowWords() {
  const { past } = SIDES[0];
  const position = SIDES[0].position();
  const { call, task, page, line } = past.at;
  const name = past.opNames[call[position]];
  const address = page[position] > 0 ? ` ${hex(page[position] * 2 ** past.geometry.pageShift)}` : "";
  const first = position * past.every;
  const last = Math.min(past.operations, first + past.every) - 1;
  const which =
    past.every > 1
      ? `operations ${shown(first)} to ${shown(last)}, the last one `
      : `operation ${shown(first)} `;
  const step = past.steps.find(([, begin, end]) => begin <= last && last < end);
  const place = `${step ? ` in step ${step[0]}` : ""}, task ${task[position]}${line[position] ? `, line ${line[position]}` : ""}`;
  return [which, el("b", {}, name), el("code", {}, address), place, ...SIDES.flatMap(countWords)];
}

function countWords(side) {
  const position = side.position();
  const of = (column) => side.past.counts[column][position];
  const words = [
    [of(FAULT), "fault"],
    [of(TLBI), "TLBI"],
    [of(UNFOLD), "unfold"],
    [of(FOLD), "fold"],
    [of(INSTALL), "contiguous install"],
  ]
    .filter(([count]) => count)
    .map(([count, name]) => counted(count, name));
  if (SIDES.length === 1) return words.length ? [`: ${words.join(", ")}`] : [];
  return [el("br"), runName(side.run), `: ${words.join(", ") || "nothing"}`];
}

function showTasks() {
  const living = [...new Set(SIDES.flatMap((side) => side.spaces.living()))].sort((a, b) => a - b);
  if (STEP.task !== null && !living.includes(STEP.task)) living.push(STEP.task);
  const auto = `task of the operation (${SIDES[0].task() ?? "none"})`;
  const options = [["", auto], ...living.map((task) => [String(task), `task ${task}`])];
  const chosen = STEP.task === null ? "" : String(STEP.task);
  byId("task").replaceChildren(
    ...options.map(([value, text]) => el("option", { value, selected: value === chosen }, text)),
  );
}

/** The permalink: where one is, behind the # of the address; written when one has come to rest. */
function linkLater() {
  clearTimeout(STEP.linking);
  STEP.linking = setTimeout(writeLink, 100);
}

function writeLink() {
  STEP.linking = 0;
  const task = STEP.task === null ? "" : `&task=${STEP.task}`;
  const link = `#at=${STEP.operation * STEP.stride}${task}`;
  if (location.hash !== link) history.replaceState(null, "", link);
}

/** Whether the address says where to be. */
function readLink() {
  const given = new URLSearchParams(location.hash.slice(1));
  const at = Number.parseInt(given.get("at") ?? "", 10);
  if (!Number.isInteger(at)) return false;
  STEP.operation = Math.min(STEP.last, Math.max(0, Math.floor(at / STEP.stride)));
  const task = Number.parseInt(given.get("task") ?? "", 10);
  STEP.task = Number.isInteger(task) ? task : null;
  return true;
}
