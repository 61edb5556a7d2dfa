// Cells on a canvas: a block that is folded is one bar, single entries stand apart, broken ones are cut.

const PALETTE = {};

function readColors() {
  for (const kind of KINDS) PALETTE[kind] = color(`cell-${kind}`);
  for (const name of ["mark", "edge"]) PALETTE[name] = color(`cell-${name}`);
  PALETTE.differ = color("differ");
  PALETTE.ink = color("ink");
}

/** How the cells of a table are laid out: rows that hold whole blocks. */
function layout({ bits, block }) {
  const entries = 1 << bits;
  const columns = Math.max(2 ** Math.ceil((bits + 1) / 2), block);
  const cell = columns > 32 ? 4 : 7;
  return { entries, columns, rows: entries / columns, cell, block: Math.max(1, block) };
}

/** A canvas as sharp as the screen, cleared; drawn on in CSS pixels. */
function sharpen(canvas, width, height) {
  const ratio = Math.max(1, window.devicePixelRatio || 1);
  const context = canvas.getContext("2d");
  const [wide, tall] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== wide || canvas.height !== tall) {
    canvas.width = wide;
    canvas.height = tall;
  }
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}

/** A table: `cells` of all tables, of which it has those from `first` on; cells that look alike at once. */
function paintTable(canvas, shape, cells, first) {
  const { columns, rows, cell } = shape;
  const context = sharpen(canvas, columns * cell + 1, rows * cell + 1);
  const alike = new Map();
  for (let index = 0; index < shape.entries; index++) {
    const value = (cells[first + index] ?? 0) & SHOWN_BITS;
    if (!alike.has(value)) alike.set(value, []);
    alike.get(value).push(index);
  }
  for (const [value, indices] of alike) paintAlike(context, shape, value, indices);
  return context;
}

function paintAlike(context, { columns, cell, block }, value, indices) {
  const kind = value & 7;
  const marked = kind !== NONE && kind !== SWAP && kind !== TABLE; // these are neither young nor dirty
  const corner = (index) => [(index % columns) * cell + 1, Math.floor(index / columns) * cell + 1];
  context.globalAlpha = marked && !(value & YOUNG) ? 0.5 : 1;
  context.fillStyle = PALETTE[KINDS[kind]];
  for (const index of indices) {
    const [x, y] = corner(index);
    const joined = kind === FOLDED && (index + 1) % block !== 0; // no gap to the next of the same block
    context.fillRect(x, y, joined ? cell : cell - 1, cell - 1);
  }
  context.globalAlpha = 1;
  if (kind === BROKEN && cell > 4) cut(context, indices.map(corner), cell - 1);
  if (!marked || !(value & DIRTY)) return;
  context.fillStyle = PALETTE.mark;
  const dot = cell > 4 ? 2 : 1;
  for (const index of indices) {
    const [x, y] = corner(index);
    context.fillRect(x + (cell - 1 - dot) / 2, y + (cell - 1 - dot) / 2, dot, dot);
  }
}

/** The corners that tell broken entries from others without colour. */
function cut(context, corners, width) {
  context.fillStyle = PALETTE.edge;
  context.beginPath();
  for (const [x, y] of corners) {
    context.moveTo(x + width, y);
    context.lineTo(x + width, y + 3);
    context.lineTo(x + width - 3, y);
  }
  context.fill();
}

/** A frame around cells [start, end) of a table, row by row. */
function outlineCells(context, { columns, cell }, start, end, style) {
  context.strokeStyle = style;
  context.lineWidth = 1;
  for (let at = start; at < end; ) {
    const stop = Math.min(end, (Math.floor(at / columns) + 1) * columns);
    const x = (at % columns) * cell + 0.5;
    const y = Math.floor(at / columns) * cell + 0.5;
    context.strokeRect(x, y, (stop - at) * cell, cell);
    at = stop;
  }
}
