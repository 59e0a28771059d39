// What `dlhw check` says of two columns of numbers. The rules and their thresholds are those of dlhw.checks; a test
// holds both answers equal. A rule returns a sentence (the mark), { lacking } or null (no mark).

const CHECKS = {};

// As Python's "{:.3g}".
function threeDigits(value) {
  const [mantissa, power] = value.toExponential(2).split("e"), exponent = Number(power);
  const short = text => text.includes(".") ? text.replace(/\.?0+$/, "") : text;
  if (exponent >= -4 && exponent < 3) return short(value.toFixed(2 - exponent));
  return `${short(mantissa)}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
}

function sorted(values) {
  return [...values].sort((a, b) => a - b);
}

function meanOf(values) {
  return values.reduce((a, b) => a + b, 0) / values.length;
}

function medianOf(values) {
  const inOrder = sorted(values), half = inOrder.length >> 1;
  return inOrder.length % 2 ? inOrder[half] : (inOrder[half - 1] + inOrder[half]) / 2;
}

function distinct(values) {
  return sorted(new Set(values));
}

function rangeOf(values) {
  return Math.max(...values) - Math.min(...values);
}

function rowsWhere(values, test) {
  return values.map((value, k) => test(value, k) ? k : -1).filter(k => k >= 0);
}

// Answers of all rules of an item: { marks: [{ code, reason, ... }], undecided, decided }. Numbers: of the rows, as typed.
function examine(item, { columns, numbers }, rules) {
  const names = Object.keys(columns);
  const table = { item, columns, numbers, x: columns[names[0]], rows: columns[names[0]].length };
  const answer = { marks: [], undecided: [], decided: [] };
  for (const rule of rules) {
    if (!rule.items.includes(item) || !(rule.code in CHECKS)) continue;
    const outcome = CHECKS[rule.code](table, rule.limits);
    if (outcome === null) answer.decided.push(rule.code);
    else if (typeof outcome === "string") answer.marks.push({ ...rule, reason: outcome });
    else answer.undecided.push(rule.code);
  }
  return answer;
}

// The columns of an item from what is typed beside a panel, sorted by the first, with the numbers of the rows as typed;
// shares in per cent become fractions.
function tableOf(check, x, y) {
  const columns = { [check.x]: x, [check.y]: y };
  for (const name of check.fractions ?? []) {
    const most = Math.max(...columns[name]);
    if (most > 2 && most <= 100) columns[name] = columns[name].map(value => value / 100);
  }
  const order = columns[check.first].map((_, k) => k).sort((a, b) => columns[check.first][a] - columns[check.first][b]);
  const names = [check.first, check.first === check.x ? check.y : check.x];
  return { columns: Object.fromEntries(names.map(name => [name, order.map(k => columns[name][k])])), numbers: order.map(k => k + 1) };
}
