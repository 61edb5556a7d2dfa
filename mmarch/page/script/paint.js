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

/** A canvas as sharp as the screen; drawn on in CSS pixels. */
function sharpen(canvas, width, height) {
  const ratio = Math.max(1, window.devicePixelRatio || 1);
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  return context;
}

/** A table: `cells` of all tables, of which it has those from `first` on. */
function paintTable(canvas, shape, cells, first) {
  const { columns, rows, cell } = shape;
  const context = sharpen(canvas, columns * cell + 1, rows * cell + 1);
  for (let index = 0; index < shape.entries; index++) paintCell(context, shape, index, cells[first + index] ?? 0);
  return context;
}

function paintCell(context, { columns, cell, block }, index, value) {
  const x = (index % columns) * cell + 1;
  const y = Math.floor(index / columns) * cell + 1;
  const kind = value & 7;
  const whole = kind === FOLDED && (index + 1) % block !== 0; // no gap to the next of the same block
  context.globalAlpha = kind === NONE || kind === SWAP || kind === TABLE || value & YOUNG ? 1 : 0.5;
  context.fillStyle = PALETTE[KINDS[kind]];
  context.fillRect(x, y, whole ? cell : cell - 1, cell - 1);
  context.globalAlpha = 1;
  if (kind === BROKEN && cell > 4) cut(context, x, y, cell - 1);
  if (value & DIRTY && kind !== TABLE && kind !== SWAP) {
    context.fillStyle = PALETTE.mark;
    const dot = cell > 4 ? 2 : 1;
    context.fillRect(x + (cell - 1 - dot) / 2, y + (cell - 1 - dot) / 2, dot, dot);
  }
}

/** The corner that tells broken entries from others without colour. */
function cut(context, x, y, width) {
  context.fillStyle = PALETTE.edge;
  context.beginPath();
  context.moveTo(x + width, y);
  context.lineTo(x + width, y + 3);
  context.lineTo(x + width - 3, y);
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
