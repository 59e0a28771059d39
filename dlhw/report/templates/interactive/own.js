// Numbers of the reader beside those of the run. Nothing leaves the page.

const OWN_COLOR = 8;

// One number a line, or two, x and y; one line of many numbers is a list. Returns { x, y } as typed, or { error }.
function parseNumbers(text, firstX = 1) {
  const lines = text.split(/\r?\n/).map((line, k) => ({ line: line.trim(), number: k + 1 })).filter(({ line }) => line);
  if (!lines.length) return { error: "There are no numbers yet: give one a line, or two with a comma between them." };
  let rows = lines.map(({ line, number }) => ({ words: words(line), number }));
  if (rows.length > 1 && rows[0].words.every(word => Number.isNaN(asNumber(word)))) rows = rows.slice(1);  // a heading
  for (const { words, number } of rows) {
    const wrong = words.find(word => !Number.isFinite(asNumber(word)));
    if (wrong !== undefined) return { error: `Line ${number}: “${wrong.slice(0, 30)}” is not a number.` };
  }
  if (rows.length === 1 && rows[0].words.length > 2) rows = rows[0].words.map(word => ({ words: [word], number: 1 }));
  const count = rows[0].words.length, odd = rows.find(row => row.words.length !== count);
  if (odd) return { error: `Line ${odd.number} has ${odd.words.length} numbers, and the first has ${count}: give as many in every line.` };
  if (count > 2) return { error: `There are ${count} numbers in a line: give one, or two with a comma between them.` };
  const values = rows.map(row => row.words.map(asNumber));
  const pairs = count === 2 ? values : values.map(([y], k) => [k + firstX, y]);
  return { x: pairs.map(pair => pair[0]), y: pairs.map(pair => pair[1]) };
}

// Between semicolons and tabs a comma is the decimal one.
function words(line) {
  if (/[;\t]/.test(line)) return line.split(/[;\t]+/).map(word => word.trim().replace(/^(-?\d+),(\d+)$/, "$1.$2")).filter(Boolean);
  return line.split(/[\s,]+/).filter(Boolean);
}

function asNumber(word) {
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(word) ? Number(word) : NaN;
}

function ownNumbers(figure) {
  const id = uniqueId(), { spec, panels } = figure;
  const area = element("textarea", { id, rows: 5, spellcheck: "false", "aria-describedby": `${id}-help` });
  const choice = element("select", { id: `${id}-panel` });
  const options = panels.flatMap((panel, k) => (panel.spec.checks ?? [null]).map(check => ({ panel, check })));
  options.forEach(({ panel: { spec: { title, y } }, check }, k) => {
    choice.add(new Option([title, check?.label ?? y.label].filter(Boolean).join(": "), k));
  });
  const status = element("p", { role: "status", class: "chart-status" });
  const answer = element("p", { role: "status", class: "chart-status chart-answer" });
  const help = element("p", { id: `${id}-help`, class: "quiet" }, `One number a line, or two: ${spec.own}. They stay in this page.`);

  function remove() {
    for (const panel of panels) panel.own = null;
  }

  function show() {
    remove();
    const { panel, check } = options[Number(choice.value)], read = parseNumbers(area.value);
    answer.replaceChildren();
    status.classList.toggle("chart-error", Boolean(read.error));
    if (read.error) {
      status.textContent = read.error;
    } else {
      const fits = read.x.map((x, k) => (!panel.spec.y.log || read.y[k] > 0) && (!panel.spec.x.log || x > 0));
      const order = read.x.map((_, k) => k).filter(k => fits[k]).sort((a, b) => read.x[a] - read.x[b]);
      const [x, y] = [read.x, read.y].map(values => order.map(k => rounded(values[k], 7)));
      const dropped = read.x.length - x.length;
      if (x.length) panel.own = { label: "your numbers", x, y: y.map(v => rounded(v)), color: OWN_COLOR, details: {}, dotted: true, points: spec.mode === "point" };
      status.textContent = x.length ? `${x.length} of your numbers are drawn` : "None of your numbers is drawn";
      status.textContent += dropped ? `; ${dropped} are not positive, and the axis is logarithmic.` : ".";
      if (check) answer.append(...verdict(check, read.x, read.y));
    }
    figure.redraw();
  }

  const clear = button("Remove", false, () => { area.value = ""; status.textContent = ""; answer.replaceChildren(); remove(); figure.redraw(); });
  const draw = button("Show", false, show);
  for (const one of [clear, draw]) one.removeAttribute("aria-pressed");
  const where = options.length > 1 ? [element("label", { for: choice.id }, "beside "), choice] : [];
  const form = element("div", { class: "chart-own-row" }, ...where, draw, clear);
  const label = element("label", { for: id }, "Your numbers, typed or pasted");
  return element("details", { class: "chart-own" }, element("summary", {}, "Your numbers"), label, area, help, form, status, answer);
}

let checkRules = null;

// What the rules say of the numbers, in paragraphs.
function verdict(check, x, y) {
  checkRules ??= JSON.parse(document.querySelector("script.check-rules").textContent);
  const { marks, decided } = examine(check.item, tableOf(check, x, y), checkRules);
  if (!marks.length) {
    return decided.length ? [`They carry no mark of ${decided.join(", ")}.`] : [];
  }
  return marks.map(({ code, kind, title, reason, remedy }) => element("span", { class: "chart-mark" },
    element("strong", {}, kind === "impossible" ? `Impossible: ${title}. ` : `They carry the mark of ${code}, ${title}. `),
    `${reason} What to do: ${remedy}`));
}
