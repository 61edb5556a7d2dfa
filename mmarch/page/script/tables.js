// Tables that sort by any column: a button in each heading, aria-sort for those who do not see the arrow.

/**
 * A table. Columns are {heading, number}; rows are arrays of {text, value, node, kind}, one a column.
 * The last of them stay at the end if `foot` says how many.
 */
function sortableTable(caption, columns, rows, { foot = 0, most = Infinity } = {}) {
  const body = el("tbody");
  const head = el("tr");
  const fixed = foot ? rows.slice(-foot) : [];
  let sorted = foot ? rows.slice(0, -foot) : rows.slice();
  let all = sorted.length <= most;
  const draw = () => {
    const visible = all ? sorted : sorted.slice(0, most);
    body.replaceChildren(...[...visible, ...fixed].map((row) => tableRow(columns, row, fixed.includes(row))));
  };
  columns.forEach((column, number) => {
    const button = el("button", { type: "button" }, column.heading);
    const cell = el(
      "th",
      { scope: "col", className: column.number ? "number" : "", "aria-sort": "none" },
      button,
    );
    button.addEventListener("click", () => {
      const state = cell.getAttribute("aria-sort");
      const down = state === "none" ? Boolean(column.number) : state === "ascending";
      for (const other of head.children) other.setAttribute("aria-sort", "none");
      cell.setAttribute("aria-sort", down ? "descending" : "ascending");
      sorted = sortedBy(sorted, number, down);
      draw();
    });
    head.append(cell);
  });
  draw();
  const table = el("table", {}, el("caption", { className: "unseen" }, caption), el("thead", {}, head), body);
  const scroller = el(
    "div",
    { className: "scroll", tabIndex: 0, role: "region", "aria-label": caption },
    table,
  );
  if (all) return scroller;
  const more = el("button", { type: "button", className: "show-all" }, `Show all ${shown(sorted.length)}`);
  more.addEventListener("click", () => {
    all = true;
    more.remove();
    draw();
  });
  return el("div", {}, scroller, more);
}

function order(a, b) {
  return a < b ? -1 : a > b ? 1 : 0;
}

function sortedBy(rows, column, down) {
  const key = (row) => row[column].value ?? -Infinity;
  return rows.slice().sort((a, b) => (down ? order(key(b), key(a)) : order(key(a), key(b))));
}

function tableRow(columns, row, last) {
  const cells = row.map((cell, number) => {
    const tag = number === 0 ? "th" : "td";
    const classes = [columns[number].number ? "number" : "", cell.kind ?? ""].filter(Boolean).join(" ");
    return el(tag, { scope: number === 0 ? "row" : null, className: classes }, cell.node ?? cell.text);
  });
  return el("tr", { className: last ? "sum" : "" }, ...cells);
}

function textCell(text) {
  return { text, value: text };
}

function numberCell(value) {
  return { text: shown(value), value, kind: value === 0 ? "zero" : "" };
}

/** How a count differs from the first run's, in words and colour. */
function changeCell(before, after) {
  const { text, kind } = change(before, after);
  const value = before ? (after - before) / before : after ? Infinity : 0;
  return { text, value, kind: `change ${kind}` };
}
