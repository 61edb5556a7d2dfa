// What cells look like, drawn by the same code that draws them.

const SAMPLES = [
  ["folded", "folded: a contiguous block", Array.from({ length: 16 }, () => FOLDED | YOUNG)],
  ["single", "single", [SINGLE | YOUNG, SINGLE | YOUNG]],
  ["broken", "broken: was folded", [BROKEN | YOUNG, BROKEN | YOUNG]],
  ["huge", "huge: a PMD maps it", [HUGE | YOUNG]],
  ["swap", "swap", [SWAP]],
  ["table", "points to a table", [TABLE]],
  ["none", "none", [NONE]],
  ["old", "pale: not young", [SINGLE, FOLDED, BROKEN]],
  ["dirty", "dot: dirty", [SINGLE | YOUNG | DIRTY, BROKEN | YOUNG | DIRTY]],
];

function drawLegend() {
  const list = el("ul", { className: "samples", "aria-label": "Legend" });
  for (const [name, words, values] of SAMPLES) {
    const canvas = el("canvas", { "aria-hidden": "true" });
    list.append(el("li", { "data-sample": name }, canvas, words));
    const draw = () => {
      const shape = {
        columns: values.length,
        rows: 1,
        cell: 7,
        entries: values.length,
        block: values.length,
      };
      canvas.style.width = `${values.length * 7 + 1}px`;
      canvas.style.height = "8px";
      paintTable(canvas, shape, values, 0);
    };
    document.addEventListener("theme", draw);
    draw();
  }
  const outlines = [
    ["changed", "changed by this operation"],
    ...(SEEN.length > 1 ? [["differs", `not as in ${SEEN[0].name}`]] : []),
  ];
  for (const [name, words] of outlines)
    list.append(el("li", {}, el("i", { className: `sample ${name}` }), words));
  return list;
}
