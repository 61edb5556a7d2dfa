// What each hook or feature buys, as bars: to the right what it saves, to the left what it costs.

function drawBars() {
  if (!DATA.bars.length) return;
  const place = section("bars", "What each buys");
  for (const item of DATA.bars) place.append(barChart(item));
}

function barChart(item) {
  const holder = el("div", { className: "bars" });
  const useful = item.columns.filter((column) => item.rows.some(([, counts]) => saved(counts, column)));
  const draw = (number) => holder.replaceChildren(...barRows(item, useful[number]));
  const parts = [el("h3", {}, item.title)];
  if (!useful.length)
    return el(
      "div",
      {},
      ...parts,
      el("p", { className: "note" }, "Nothing makes a difference on this workload."),
    );
  parts.push(
    choice(
      "Count",
      useful.map((column, number) => [number, column.heading]),
      draw,
    ),
    holder,
  );
  if (item.idle.length)
    parts.push(el("p", { className: "note" }, `No difference on this workload: ${item.idle.join(", ")}.`));
  draw(0);
  return el("div", { className: "ablation" }, ...parts);
}

/** Of counts in which groups are summed under their names. */
function saved(counts, column) {
  if (column.prices) return price(counts, column);
  return column.groups.reduce((sum, event) => sum + (counts[event] ?? 0), 0);
}

function barRows(item, column) {
  const whole = column.prices
    ? price(item.totals, column)
    : column.events.reduce((sum, event) => sum + (item.totals[event] ?? 0), 0);
  const rows = item.rows
    .map(([name, counts]) => ({ name, value: saved(counts, column) }))
    .filter((row) => row.value)
    .sort((a, b) => b.value - a.value);
  const most = Math.max(...rows.map((row) => Math.abs(row.value)));
  const signs = rows.some((row) => row.value < 0);
  const scale = el(
    "p",
    { className: "scale" },
    `${column.heading} that doing without would add; as it is: ${shown(whole)}`,
  );
  return [scale, el("ul", { className: signs ? "signed" : "" }, ...rows.map((row) => bar(row, most, whole)))];
}

function bar({ name, value }, most, whole) {
  const fill = el("i", { className: value < 0 ? "minus" : "plus" });
  fill.style.width = `${(100 * Math.abs(value)) / most}%`;
  const percent = whole ? Math.round((100 * Math.abs(value)) / whole) : 0;
  const part = whole ? ` (${percent || "<1"}%)` : "";
  const text = `${value > 0 ? "+" : "−"}${shown(Math.abs(value))}${part}`;
  return el(
    "li",
    {},
    el("span", { className: "bar-name" }, name),
    el("span", { className: "track" }, fill),
    el("b", {}, text),
  );
}
