// The page-table map: each table as a picture of its entries, drawn when it is seen.

const MOST_TABLES = 600;
const LEVELS = ["PTE", "PMD", "PUD", "P4D", "PGD"];

class TableMap {
  constructor(geometry) {
    this.geometry = geometry;
    this.shape = layout(geometry);
    this.figures = new Map();
    this.grid = el("div", { className: "tables" });
    this.rest = el("p", { className: "note" });
    this.node = el("div", {}, this.grid, this.rest);
    this.seen = new IntersectionObserver((entries) => this.looked(entries), { rootMargin: "300px" });
  }

  looked(entries) {
    for (const { target, isIntersecting } of entries) {
      target.figure.visible = isIntersecting;
      if (isIntersecting) this.draw(target.figure);
    }
  }

  /** Show tables; `other` gives the cells that another run has in the same place. */
  show(tables, replay, other) {
    const shownNow = tables.slice(0, MOST_TABLES);
    this.replay = replay;
    const figures = shownNow.map((table) => this.figure(table));
    const kept = new Set(figures);
    for (const figure of this.figures.values()) if (!kept.has(figure)) this.seen.unobserve(figure.node);
    this.figures = new Map(figures.map((figure) => [figure.key, figure]));
    sync(
      this.grid,
      figures.map((figure) => figure.node),
    );
    for (const figure of figures) {
      figure.other = other?.(figure.table);
      if (figure.visible) this.draw(figure);
    }
    const more = tables.length - shownNow.length;
    this.rest.textContent =
      more > 0 ? `and ${counted(more, "table")} more: choose a mapping above to see its own` : "";
    if (!tables.length) this.rest.textContent = "No page tables here.";
  }

  figure(table) {
    const key = `${table.level}:${table.page}`;
    let figure = this.figures.get(key);
    if (!figure) {
      figure = this.made(key, table);
      this.seen.observe(figure.node);
    }
    figure.table = table;
    return figure;
  }

  made(key, table) {
    const { pageShift, bits } = this.geometry;
    const span = 2 ** (pageShift + (table.level + 1) * bits);
    const where = `${LEVELS[table.level]} table at ${hex(table.page * 2 ** pageShift)}`;
    const canvas = el("canvas", { role: "img", "aria-label": where });
    const words = el("span", { className: "filled" });
    const caption = el(
      "figcaption",
      {},
      el("b", {}, LEVELS[table.level]),
      el("code", {}, hex(table.page * 2 ** pageShift)),
      el("span", {}, size(span)),
      words,
    );
    const { columns, rows, cell } = this.shape;
    canvas.style.width = `${columns * cell + 1}px`;
    canvas.style.height = `${rows * cell + 1}px`;
    const node = el("figure", { className: "table-cell" }, caption, canvas);
    const figure = { key, table, where, node, canvas, words, visible: false, state: "" };
    node.figure = figure;
    canvas.addEventListener("pointermove", (event) => this.point(figure, event));
    canvas.addEventListener("pointerleave", () => (byId("pointed").textContent = ""));
    return figure;
  }

  /** Draw a table unless it is drawn already as it is now. */
  draw(figure) {
    const { slot } = figure.table;
    const first = slot << this.geometry.bits;
    const entries = this.shape.entries;
    const changed = this.replay.changed.filter(([start, end]) => start < first + entries && end > first);
    const differs = figure.other ? differing(this.replay.cells, first, figure.other, entries) : [];
    const state = `${slot} ${this.replay.versions[slot]} ${changed.join()} ${differs.join()} ${readTheme()}`;
    if (figure.state === state) return;
    figure.state = state;
    const context = paintTable(figure.canvas, this.shape, this.replay.cells, first);
    for (const [start, end] of changed) {
      outlineCells(
        context,
        this.shape,
        Math.max(0, start - first),
        Math.min(entries, end - first),
        PALETTE.ink,
      );
    }
    for (const [start, end] of differs) outlineCells(context, this.shape, start, end, PALETTE.differ);
    this.describe(figure, first, differs);
  }

  describe(figure, first, differs) {
    const sums = KINDS.map(() => 0);
    const marks = { young: 0, dirty: 0 };
    for (let index = 0; index < this.shape.entries; index++) {
      const value = this.replay.cells[first + index];
      sums[value & 7] += 1;
      if (value & 7 && (value & 7) < SWAP) {
        marks.young += (value & YOUNG) / YOUNG;
        marks.dirty += (value & DIRTY) / DIRTY;
      }
    }
    const words = KINDS.slice(1)
      .map((kind, at) => [kind, sums[at + 1]])
      .concat(Object.entries(marks))
      .filter(([, count]) => count);
    const other = differs.reduce((sum, [start, end]) => sum + end - start, 0);
    figure.words.textContent = other ? `≠ ${shown(other)}` : shown(this.shape.entries - sums[NONE]);
    figure.node.classList.toggle("differs", other > 0);
    const counts = words.map(([kind, count]) => `${count} ${kind}`).join(", ") || "empty";
    figure.canvas.setAttribute("aria-label", `${figure.where}: ${counts}${other ? `; ${other} differ` : ""}`);
  }

  /** Say which entry the pointer is on. */
  point(figure, event) {
    const box = figure.canvas.getBoundingClientRect();
    const { columns, cell, entries, block } = this.shape;
    const index =
      Math.floor((event.clientY - box.top - 1) / cell) * columns +
      Math.floor((event.clientX - box.left - 1) / cell);
    if (index < 0 || index >= entries) return;
    const { level, page, slot } = figure.table;
    const { pageShift, bits } = this.geometry;
    const value = this.replay.cells[(slot << bits) + index];
    const address = (page + index * 2 ** (level * bits)) * 2 ** pageShift;
    const place = level === 0 && block > 1 ? `, block ${Math.floor(index / block)}` : "";
    byId("pointed").textContent = `${hex(address)}: ${LEVELS[level]} ${index}${place}: ${cellWords(value)}`;
  }

  /** Everything, for paper. */
  drawAll() {
    for (const figure of this.figures.values()) this.draw(figure);
  }
}

/** Ranges of cells of a table that are not as those of another run, given as a function of their index. */
function differing(cells, first, other, entries) {
  const found = [];
  for (let index = 0; index < entries; index++) {
    const mine = cells[first + index] & SHOWN_BITS;
    const differs = mine !== other(index) && ((mine & 7) !== TABLE || (other(index) & 7) !== TABLE);
    if (!differs) continue;
    const last = found.at(-1);
    if (last?.[1] === index) last[1] = index + 1;
    else found.push([index, index + 1]);
  }
  return found;
}
