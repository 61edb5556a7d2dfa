// One run's side of the map: its tables, tasks and mappings where the slider is.

class Side {
  constructor(run) {
    this.run = run;
    this.past = run.history;
    this.replay = new Replay(this.past);
    this.spaces = new Spaces(this.past);
    this.strips = new Strips(this.past.geometry, chooseMapping);
    this.map = new TableMap(this.past.geometry);
    this.node = el(
      "div",
      { className: "side" },
      ...(MANY ? [el("h3", {}, runName(run))] : []),
      this.strips.node,
      this.map.node,
    );
  }

  position() {
    const last = this.past.positions - 1;
    return Math.min(last, Math.floor(((STEP.operation + 1) * STEP.stride - 1) / this.past.every));
  }

  goTo() {
    this.replay.goTo(this.position());
    this.spaces.goTo(this.position());
  }

  /** The task whose tables are shown: the chosen one, else that of the operation, else any. */
  task() {
    const living = this.spaces.living();
    const wanted = STEP.task ?? this.past.at.task[this.position()];
    return living.includes(wanted) ? wanted : STEP.task === null ? living[0] : undefined;
  }

  look() {
    const space = this.spaces.of(this.task());
    this.mappings = space?.mappings ?? [];
    this.tables = space ? this.replay.tables(space.slot, this.past.geometry.levels - 1) : [];
  }

  show(first) {
    this.strips.show(this.mappings, this.tables, this.replay, STEP.mapping);
    const wide = this.past.geometry.bits;
    let tables = STEP.mapping ? overlapping(this.tables, STEP.mapping, wide) : this.tables;
    if (!STEP.upper) tables = tables.filter((table) => table.level === 0 || this.hasHuge(table));
    this.map.show(
      tables,
      this.replay,
      first === this ? null : sameKind(first, this) ? (table) => first.cellsAt(table) : null,
    );
  }

  hasHuge({ slot }) {
    const start = slot << this.past.geometry.bits;
    for (let at = start; at < start + (1 << this.past.geometry.bits); at++)
      if ((this.replay.cells[at] & 7) === HUGE) return true;
    return false;
  }

  /** The cells where another run has a table: a function of the index. */
  cellsAt({ level, page }) {
    const mine = this.tables.find((table) => table.level === level && table.page === page);
    if (!mine) return () => NONE;
    const first = mine.slot << this.past.geometry.bits;
    return (index) => this.replay.cells[first + index] & SHOWN_BITS;
  }
}

function sameKind(one, other) {
  return (
    one.past.geometry.bits === other.past.geometry.bits &&
    one.run.result.workload.name === other.run.result.workload.name
  );
}
