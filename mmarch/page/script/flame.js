// An icicle of calls: each function as wide as the events below it. A click or Enter makes one the root.

const FLAME_KINDS = [
  ["tlbi", "TLBIs"],
  ["fault", "faults"],
  ["unfold", "unfolds"],
  ["fold", "folds"],
  ["barrier", "DSBs"],
];

function drawFlame() {
  if (!SEEN.length) return;
  const kinds = FLAME_KINDS.filter(([kind]) => SEEN.some((run) => run.history.stacks.paths[kind].length));
  if (!kinds.length) return;
  const place = section("flame", "Flame graph");
  const holder = el("div", { className: "flame" });
  const shownNow = { run: SEEN[0], kind: kinds[0] };
  const draw = () => holder.replaceChildren(flameGraph(shownNow.run, ...shownNow.kind));
  const choices = el(
    "div",
    { className: "choices" },
    choice(
      "Count",
      kinds.map(([key, name]) => [key, name]),
      (key) => {
        shownNow.kind = kinds.find(([kind]) => kind === key);
        draw();
      },
    ),
  );
  if (SEEN.length > 1) {
    choices.append(
      choice(
        "Run",
        SEEN.map((run, number) => [number, run.name]),
        (number) => {
          shownNow.run = SEEN[number];
          draw();
        },
      ),
    );
  }
  place.append(choices, holder);
  draw();
}

/** The tree of a run's paths: names and sums. */
function callTree(stacks, kind, name) {
  const root = { name: `all ${name}`, value: 0, parts: new Map(), above: null };
  for (const [count, ...path] of stacks.paths[kind]) {
    root.value += count;
    let node = root;
    for (const number of path) {
      const call = stacks.names[number];
      if (!node.parts.has(call))
        node.parts.set(call, { name: call, value: 0, parts: new Map(), above: node });
      node = node.parts.get(call);
      node.value += count;
    }
  }
  return root;
}

function flameGraph(run, kind, name) {
  const root = callTree(run.history.stacks, kind, name);
  const place = el("div");
  const show = (node, focus) => {
    place.replaceChildren(...frames(root, node, show));
    if (focus) place.querySelector("[aria-current]")?.focus();
  };
  show(root, false);
  return place;
}

/** Rows of frames: what leads to `node`, the node, and all below it by depth. */
function frames(root, node, show) {
  const rows = [];
  for (let above = node.above; above; above = above.above)
    rows.unshift([frame(above, 0, 1, root, show, "context")]);
  let level = [[node, 0]];
  while (level.length) {
    rows.push(
      level.map(([each, at]) => frame(each, at, node.value, root, show, each === node ? "current" : "")),
    );
    level = level.flatMap(([each, at]) => {
      let left = at;
      return [...each.parts.values()]
        .sort((a, b) => b.value - a.value)
        .map((part) => {
          left += part.value;
          return [part, left - part.value];
        });
    });
  }
  return rows.map((parts) => el("div", { className: "flame-row" }, ...parts));
}

function frame(node, at, whole, root, show, kind) {
  const share = `${shown(node.value)}, ${((100 * node.value) / root.value).toFixed(1)}% of ${root.name}`;
  const made = el(
    "button",
    {
      type: "button",
      className: `frame ${kind}`,
      title: `${node.name}: ${share}`,
      "aria-label": `${node.name}: ${share}`,
      "aria-current": kind === "current" ? "true" : null,
    },
    node.name,
  );
  made.style.left = `${kind === "context" ? 0 : (100 * at) / whole}%`;
  made.style.width = `${kind === "context" ? 100 : (100 * node.value) / whole}%`;
  made.style.setProperty("--hue", String(hueOf(node.name)));
  made.addEventListener("click", () => show(node, true));
  return made;
}

/** The same function has the same colour on every page. */
function hueOf(name) {
  let sum = 0;
  for (const letter of name) sum = (sum * 31 + letter.charCodeAt(0)) % 997;
  return 10 + (sum % 45);
}
