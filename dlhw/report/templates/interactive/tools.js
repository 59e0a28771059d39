// Elements and numbers as text.

const SVG = "http://www.w3.org/2000/svg";

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== false && value !== undefined) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

function shape(name, attributes = {}, text = "") {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text) made.textContent = text;
  return made;
}

// The numbers of the page have four digits already: nothing is rounded twice.
function asText(value) {
  if (value === null || value === undefined) return "–";
  if (typeof value === "string") return value;
  const size = Math.abs(value);
  return size !== 0 && (size < 1e-4 || size >= 1e7) ? value.toExponential() : String(value);
}

function rounded(value, digits = 4) {
  return Number(value.toPrecision(digits));
}

function button(text, pressed, action) {
  const made = element("button", { type: "button", "aria-pressed": String(pressed) }, text);
  made.addEventListener("click", () => action(made));
  return made;
}

// Of several buttons one is pressed.
function press(buttons, chosen) {
  for (const one of buttons) one.setAttribute("aria-pressed", String(one === chosen));
}

let uniqueCount = 0;
const uniqueStem = "c" + Math.random().toString(36).slice(2, 8);
function uniqueId() {
  uniqueCount += 1;
  return `${uniqueStem}-${uniqueCount}`;
}
