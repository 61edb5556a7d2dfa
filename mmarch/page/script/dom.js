// Elements are made from text and never from markup: a workload may have any name.

/** An element with properties, attributes (those with a dash, role, for …) and children, which are nodes or text. */
function el(tag, given = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined || value === null || value === false) continue;
    if (name in made && !name.includes("-") && name !== "style") made[name] = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

/** The same for SVG, where all are attributes. */
function svg(tag, given = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(given)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function byId(id) {
  return document.getElementById(id);
}

/** The section of that id, shown and in the navigation. */
function section(id, name) {
  const found = byId(id);
  found.hidden = false;
  byId("sections").append(el("a", { href: `#${id}` }, name));
  return found;
}

/** A group of radio buttons that look like one switch; `chosen` is called with the value; `begin` is the first one's number. */
function choice(label, options, chosen, begin = 0) {
  const name = `choice-${choice.made++}`;
  const group = el("fieldset", { className: "choice" }, el("legend", {}, label));
  options.forEach(([value, text], number) => {
    const id = `${name}-${number}`;
    const input = el("input", { type: "radio", name, id, value, checked: number === begin });
    input.addEventListener("change", () => chosen(value));
    group.append(input, el("label", { htmlFor: id }, text));
  });
  return group;
}
choice.made = 0;

/** A colour of the style sheet, for a canvas. */
function color(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}
