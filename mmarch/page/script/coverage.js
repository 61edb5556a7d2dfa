// What large folios cover of anonymous memory, by the keys of thpmaps: over time, and when it was most.

const COVERED = [
  ["in large folios", ["anon-thp-pte-aligned", "anon-thp-pte-unaligned", "anon-thp-pmd"], "large"],
  ["folded", ["anon-cont-pte-folded"], "folded"],
];

function anonymous(sample) {
  return sample.bytes["anon-rss"] ?? 0;
}

/** Bytes under keys that begin with one of these. */
function covered(sample, keys) {
  const found = Object.entries(sample.bytes).filter(([key]) => keys.some((begin) => key.startsWith(begin)));
  return found.reduce((sum, [, bytes]) => sum + bytes, 0);
}

/** The moment with most anonymous memory; null if there never was any. */
function fullest(run) {
  const samples = run.result.coverage ?? [];
  const full = samples.reduce(
    (most, sample) => (most && anonymous(most) >= anonymous(sample) ? most : sample),
    null,
  );
  return full && anonymous(full) ? full : null;
}

/** Of each run the share that is covered at its fullest, in per cent. */
function coverageRows() {
  return COVERED.map(([name, keys]) => {
    const shares = RUNS.map((run) => {
      const full = fullest(run);
      return full && Math.round((100 * covered(full, keys)) / anonymous(full));
    });
    return [name, shares];
  }).filter(([, shares]) => shares.some(Boolean));
}

function percentCell(value) {
  return { text: value === null ? "–" : `${value}%`, value };
}

/** Anonymous memory over the operations: all of it, in large folios, folded. */
function coverageLanes(last) {
  return RUNS.filter(fullest).map((run) => {
    const full = fullest(run);
    const most = anonymous(full);
    const chart = svg("svg", {
      viewBox: `0 0 ${WIDE} ${TALL}`,
      preserveAspectRatio: "none",
      role: "img",
      class: "lane-chart coverage",
    });
    const words = [`${size(most)} at most`];
    chart.append(svg("path", { d: stairs(run, anonymous, most, last), class: "all" }));
    for (const [name, keys, style] of COVERED) {
      chart.append(
        svg("path", { d: stairs(run, (sample) => covered(sample, keys), most, last), class: style }),
      );
      words.push(`${Math.round((100 * covered(full, keys)) / most)}% ${name}`);
    }
    const title = MANY ? `anonymous memory, ${run.name}` : "anonymous memory";
    chart.setAttribute("aria-label", `${title}: ${words.join(", ")}`);
    return laneOf(title, words.join(", "), size(most), chart, last);
  });
}

/** The outline of a value that stays as it is from one moment to the next. */
function stairs(run, value, most, last) {
  const samples = run.result.coverage;
  let path = `M0 ${TALL}`;
  let y = TALL;
  for (const sample of samples) {
    const x = ((WIDE * (sample.operation + 1)) / (last + 1)).toFixed(1);
    path += `L${x} ${y}`;
    y = (TALL - ((TALL - 4) * value(sample)) / most).toFixed(1);
    path += `L${x} ${y}`;
  }
  return `${path}L${WIDE} ${y}L${WIDE} ${TALL}`;
}
