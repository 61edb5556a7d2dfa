// The page tables at any position: every change of cells up to there, applied in order. Going back begins anew,
// which takes some milliseconds, so there are no key frames.

const KINDS = ["none", "single", "folded", "broken", "swap", "huge", "table"];
const NONE = 0,
  SINGLE = 1,
  FOLDED = 2,
  BROKEN = 3,
  SWAP = 4,
  HUGE = 5,
  TABLE = 6;
const YOUNG = 8,
  DIRTY = 16,
  WRITE = 32;
const SHOWN_BITS = 63; // kind and marks; above them the slot of a table

class Replay {
  constructor(past) {
    const { bits, childShift } = past.geometry;
    const columns = unpackColumns(past.cells ?? ["", "", "", ""], [0, 1]);
    [this.when, this.first, this.length, this.value] = columns.map((column) => Int32Array.from(column));
    this.bits = bits;
    this.childShift = childShift;
    let end = 0;
    for (let at = 0; at < this.first.length; at++) end = Math.max(end, this.first[at] + this.length[at]);
    const slots = (end >> bits) + 1;
    this.cells = new Int32Array(slots << bits);
    this.versions = new Int32Array(slots); // of each table; another number means that it changed
    this.version = 0;
    this.next = 0;
    this.position = -1;
  }

  /** Go to a position; what it changes is in `changed`, pairs of first cell and end. */
  goTo(position) {
    this.version += 1;
    if (position < this.position) this.goBack(position);
    while (this.next < this.when.length && this.when[this.next] <= position) {
      this.apply(this.next);
      this.touch(this.next++);
    }
    this.changed = [];
    for (let at = this.next - 1; at >= 0 && this.when[at] === position; at--) {
      this.changed.push([this.first[at], this.first[at] + this.length[at]]);
    }
    this.position = position;
  }

  /** From the beginning to a position before this one; what was changed since then changes again. */
  goBack(position) {
    while (this.next > 0 && this.when[this.next - 1] > position) this.touch(--this.next);
    this.cells.fill(0);
    for (let at = 0; at < this.next; at++) this.apply(at);
  }

  apply(at) {
    this.cells.fill(this.value[at], this.first[at], this.first[at] + this.length[at]);
  }

  /** The tables of a change are not as they were. */
  touch(at) {
    const last = (this.first[at] + this.length[at] - 1) >> this.bits;
    for (let slot = this.first[at] >> this.bits; slot <= last; slot++) this.versions[slot] = this.version;
  }

  /** The tables below a top-level one, in order of address: level, first page, slot. */
  tables(slot, level, page = 0, found = []) {
    found.push({ level, page, slot });
    if (level === 0) return found;
    const first = slot << this.bits;
    for (let index = 0; index < 1 << this.bits; index++) {
      const value = this.cells[first + index] ?? 0;
      if ((value & 7) === TABLE) {
        this.tables(value >> this.childShift, level - 1, page + index * 2 ** (level * this.bits), found);
      }
    }
    return found;
  }
}

/** What a cell is, in words. */
function cellWords(value) {
  const kind = KINDS[value & 7];
  const marks = [value & YOUNG && "young", value & DIRTY && "dirty", value & WRITE && "writable"].filter(
    Boolean,
  );
  return [kind, ...(value & 7 && (value & 7) !== SWAP && (value & 7) !== TABLE ? marks : [])].join(", ");
}
