const NUMBER = new Intl.NumberFormat("en");

/** 12345 as 12,345; what an engine does not show as a dash. */
function shown(value) {
  return value === null || value === undefined ? "–" : NUMBER.format(value);
}

/** One or many of something. */
function counted(value, one, many = `${one}s`) {
  return `${shown(value)} ${value === 1 ? one : many}`;
}

/** Bytes as 64K, 2M, 1.5G. */
function size(bytes) {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < 5) {
    value /= 1024;
    unit += 1;
  }
  return `${Number(value.toFixed(value < 10 ? 1 : 0))}${"BKMGTP"[unit]}`;
}

function hex(value) {
  return `0x${value.toString(16)}`;
}

/** How one count differs from another: its words and whether it is less, more or the same. */
function change(before, after) {
  if (before === null || after === null) return { text: "", kind: "same" };
  if (before === after) return { text: "=", kind: "same" };
  const kind = after < before ? "less" : "more";
  if (!before) return { text: "new", kind };
  const percent = (100 * (after - before)) / before;
  if (percent >= 1000) return { text: `×${Math.round(after / before)}`, kind };
  const digits = Math.abs(percent) < 10 ? 1 : 0;
  return { text: `${percent > 0 ? "+" : "−"}${Math.abs(percent).toFixed(digits)}%`, kind };
}
