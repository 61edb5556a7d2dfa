// The address space: a strip for each mapping, from its first page to its last; what is where, as shares.

const STRIP = { width: 480, height: 14 };
const MOST_STRIPS = 400;
const STACKED = [FOLDED, HUGE, SINGLE, BROKEN, SWAP];

class Strips {
  constructor(geometry, choose) {
    this.geometry = geometry;
    this.choose = choose;
    this.list = el("ul", { className: "strips", "aria-label": "Mappings" });
    this.rest = el("p", { className: "note" });
    this.known = new Map();
    this.node = el(
      "div",
      {},
      el(
        "div",
        { className: "strips-frame", tabIndex: 0, role: "group", "aria-label": "Mappings" },
        this.list,
      ),
      this.rest,
    );
  }

  /** Show mappings, with the tables and the replay that they are looked up in. */
  show(mappings, tables, replay, chosen) {
    const shownNow = mappings.slice(0, MOST_STRIPS);
    const rows = shownNow.map((mapping) => this.row(mapping, tables, replay, chosen));
    sync(
      this.list,
      rows.map((row) => row.node),
    );
    this.known = new Map(rows.map((row) => [row.key, row]));
    this.rest.textContent =
      mappings.length > MOST_STRIPS ? `and ${counted(mappings.length - MOST_STRIPS, "mapping")} more` : "";
  }

  row(mapping, tables, replay, chosen) {
    const key = `${mapping.start} ${mapping.end} ${mapping.flags} ${mapping.file}`;
    const row = this.known.get(key) ?? this.made(key, mapping);
    row.node.classList.toggle("chosen", chosen?.start === mapping.start);
    row.button.setAttribute("aria-pressed", String(chosen?.start === mapping.start));
    const inside = overlapping(tables, mapping, this.geometry.bits);
    const state = inside.map(({ slot }) => `${slot}:${replay.versions[slot]}`).join() + readTheme();
    if (row.state !== state) {
      row.state = state;
      drawStrip(row, mapping, inside, replay, this.geometry);
    }
    return row;
  }

  made(key, mapping) {
    const { pageShift } = this.geometry;
    const pages = mapping.end - mapping.start;
    const canvas = el("canvas", { className: "strip", role: "img" });
    const share = el("span", { className: "share" });
    const button = el(
      "button",
      { type: "button", title: "Only the tables of this mapping" },
      el("code", {}, hex(mapping.start * 2 ** pageShift)),
      el("span", { className: "extent" }, size(pages * 2 ** pageShift)),
      el("code", { className: "permits" }, permits(mapping)),
    );
    button.addEventListener("click", () => this.choose(mapping));
    return { key, node: el("li", {}, button, canvas, share), button, canvas, share, state: "" };
  }
}

/** Tables with leaves for pages of a mapping: all PTE tables, and PMD tables for huge entries. */
function overlapping(tables, { start, end }, bits) {
  return tables.filter(
    ({ level, page }) => level < 2 && page < end && page + 2 ** ((level + 1) * bits) > start,
  );
}

/** How many pages of each kind are in each of equal parts of a mapping: by kind, then part. */
function countPages(mapping, tables, { cells }, bits, columns) {
  const pages = mapping.end - mapping.start;
  const counts = KINDS.map(() => new Uint32Array(columns));
  for (const { level, page, slot } of tables) {
    const span = level ? 1 << bits : 1; // pages of an entry
    const first = Math.max(0, Math.floor((mapping.start - page) / span));
    const last = Math.min(1 << bits, Math.ceil((mapping.end - page) / span));
    const base = slot << bits;
    for (let index = first; index < last; index++) {
      const kind = cells[base + index] & 7;
      if (kind === NONE || kind === TABLE) continue;
      const from = Math.max(0, page + index * span - mapping.start);
      const to = Math.min(pages, page + (index + 1) * span - mapping.start);
      for (let at = from; at < to; at++) counts[kind][Math.floor((at * columns) / pages)] += 1;
    }
  }
  return counts;
}

function drawStrip(row, mapping, inside, replay, geometry) {
  const pages = mapping.end - mapping.start;
  const columns = Math.min(pages, STRIP.width);
  const counts = countPages(mapping, inside, replay, geometry.bits, columns);
  const context = sharpen(row.canvas, STRIP.width, STRIP.height);
  context.fillStyle = PALETTE.none;
  context.fillRect(0, 0, STRIP.width, STRIP.height);
  const edges = Array.from({ length: columns + 1 }, (_, column) =>
    Math.round((column * STRIP.width) / columns),
  );
  const tops = new Float64Array(columns).fill(STRIP.height);
  for (const kind of STACKED) {
    context.fillStyle = PALETTE[KINDS[kind]];
    counts[kind].forEach((count, column) => {
      if (!count) return;
      const room = Math.ceil(((column + 1) * pages) / columns) - Math.ceil((column * pages) / columns);
      const tall = Math.min(tops[column], (STRIP.height * count) / room);
      tops[column] -= tall;
      context.fillRect(edges[column], tops[column], edges[column + 1] - edges[column], tall);
    });
  }
  describeStrip(
    row,
    counts.map((each) => each.reduce((sum, count) => sum + count, 0)),
  );
}

function describeStrip(row, sums) {
  const mapped = sums[SINGLE] + sums[FOLDED] + sums[BROKEN] + sums[HUGE];
  row.node.classList.toggle("empty", mapped + sums[SWAP] === 0);
  const words = [
    mapped && counted(mapped, "page"),
    sums[FOLDED] && `${Math.round((100 * sums[FOLDED]) / mapped)}% folded`,
    sums[SWAP] && `${shown(sums[SWAP])} in swap`,
  ];
  row.share.textContent = words.filter(Boolean).join(", ");
  row.canvas.setAttribute(
    "aria-label",
    STACKED.filter((kind) => sums[kind])
      .map((kind) => `${sums[kind]} ${KINDS[kind]}`)
      .join(", ") || "nothing mapped",
  );
}

/** Make the children of a node those, moving as few as possible. */
function sync(parent, nodes) {
  nodes.forEach((node, at) => {
    if (parent.children[at] !== node) parent.insertBefore(node, parent.children[at] ?? null);
  });
  while (parent.children.length > nodes.length) parent.lastChild.remove();
}
