const DIGITS = new Int8Array(128);
"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".split("").forEach((letter, value) => {
  DIGITS[letter.charCodeAt(0)] = value;
});

/** Numbers from variable-length quantities in base 64, lowest digit first, the sign in the lowest bit. */
function unpack(text) {
  const found = [];
  let value = 0;
  let scale = 1;
  for (let at = 0; at < text.length; at++) {
    const digit = DIGITS[text.charCodeAt(at)];
    value += (digit & 31) * scale;
    scale *= 32;
    if (digit & 32) continue;
    const half = Math.floor(value / 2);
    found.push(value % 2 ? -half : half);
    value = 0;
    scale = 1;
  }
  return found;
}

/** Numbers of which the differences were packed. */
function unpackSteps(text) {
  let sum = 0;
  return unpack(text).map((step) => (sum += step));
}

/** Columns of a table; those of `growing` hold differences. */
function unpackColumns(texts, growing) {
  return texts.map((text, number) => (growing.includes(number) ? unpackSteps(text) : unpack(text)));
}
