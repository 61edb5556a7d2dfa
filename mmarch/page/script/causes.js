// Which call, by which function of the kernel, makes TLBIs.

function drawCauses() {
  if (!SEEN.length) return;
  const place = section("causes", "Causes");
  const kinds = [
    ["tlbi", "TLBIs"],
    ["unfold", "unfolds"],
    ["fault", "faults"],
  ];
  const holder = el("div");
  const draw = (kind) => {
    const name = kinds.find(([key]) => key === kind)[1];
    holder.replaceChildren(causeTable(kind, name));
  };
  place.append(choice("Count", kinds, draw), holder);
  draw("tlbi");
}

function causeTable(kind, name) {
  const known = SEEN.map((run) => new Map(run.history.causes.map((row) => [row.cause, row[kind]])));
  const paths = [
    ...new Set(known.flatMap((counts) => [...counts].filter(([, count]) => count).map(([path]) => path))),
  ];
  const most = Math.max(1, ...known.flatMap((counts) => [...counts.values()]));
  const rows = paths.map((path) => {
    const values = known.map((counts) => counts.get(path) ?? 0);
    const numbers = values.flatMap((value, run) => [
      { node: meter(value, most, run), value },
      ...(run ? [changeCell(values[0], value)] : []),
    ]);
    return [{ node: pathNode(path), value: path }, ...numbers];
  });
  const head = SEEN.flatMap((run, number) => [
    { heading: MANY ? run.name : name, number: true },
    ...(number ? [{ heading: `${run.name} / ${SEEN[0].name}`, number: true }] : []),
  ]);
  const sorted = sortedBy(rows, 1, true);
  return sortableTable(`${name} by cause`, [{ heading: "cause" }, ...head], sorted, { most: 12 });
}

function meter(value, most, run) {
  const fill = el("i", { className: `run-${run}` });
  fill.style.width = `${(100 * value) / most}%`;
  return el(
    "span",
    { className: "meter" },
    el("span", { className: "track" }, fill),
    el("span", {}, shown(value)),
  );
}

/** A path of calls, which may break after each. */
function pathNode(path) {
  const names = path.split(";");
  const parts = names.flatMap((name, number) => [
    el(number === 0 ? "b" : "span", {}, name),
    ...(number < names.length - 1 ? [el("i", {}, " › "), el("wbr")] : []),
  ]);
  return el("code", { className: "path" }, ...parts);
}
