// Tasks and their mappings at any position.

const VM_READ = 1,
  VM_WRITE = 2,
  VM_EXEC = 4,
  VM_SHARED = 8; // include/linux/mm.h

class Spaces {
  constructor(past) {
    this.tasks = rowsOf(unpackColumns(past.tasks, [0]));
    this.tops = rowsOf(unpackColumns(past.tops, [0]));
    this.mappings = rowsOf(unpackColumns(past.mappings, [0, 3, 4]));
    this.begin();
  }

  begin() {
    this.position = -1;
    this.next = { tasks: 0, tops: 0, mappings: 0 };
    this.mmOf = new Map(); // task -> mm
    this.topOf = new Map(); // mm -> number of its top-level table
    this.areas = this.tops.map(() => new Map()); // of each top-level table: row -> mapping
  }

  goTo(position) {
    if (position < this.position) this.begin();
    this.position = position;
    this.upTo("tasks", ([, task, mm]) => (mm ? this.mmOf.set(task, mm) : this.mmOf.delete(task)));
    this.upTo("tops", ([, mm], number) => this.topOf.set(mm, number));
    this.upTo("mappings", ([, top, row, start, end, flags, file]) => {
      if (end) this.areas[top].set(row, { start, end, flags, file });
      else this.areas[top].delete(row);
    });
  }

  upTo(name, apply) {
    const rows = this[name];
    while (this.next[name] < rows.length && rows[this.next[name]][0] <= this.position) {
      apply(rows[this.next[name]], this.next[name]);
      this.next[name] += 1;
    }
  }

  /** Tasks that have an address space, by number. */
  living() {
    return [...this.mmOf.keys()].filter((task) => this.topOf.has(this.mmOf.get(task))).sort((a, b) => a - b);
  }

  /** The slot of a task's top-level table and its mappings by address; nothing if it has none. */
  of(task) {
    const top = this.topOf.get(this.mmOf.get(task));
    if (top === undefined) return null;
    const mappings = [...this.areas[top].values()].sort((a, b) => a.start - b.start);
    return { slot: this.tops[top][2], mappings };
  }
}

function rowsOf(columns) {
  return columns[0].map((_, row) => columns.map((column) => column[row]));
}

/** As /proc/PID/maps has it: rw-p anon. */
function permits({ flags, file }) {
  const letter = (bit, sign) => (flags & bit ? sign : "-");
  const rights =
    letter(VM_READ, "r") + letter(VM_WRITE, "w") + letter(VM_EXEC, "x") + (flags & VM_SHARED ? "s" : "p");
  return `${rights} ${file < 0 ? "anon" : `file ${file}`}`;
}
