// Scales from numbers to pixels, and their ticks.

const LEAST_RATIO = 1.2;  // of a logarithmic axis: all at one value would have no ticks

// The ends of an axis that holds `values`; those of a logarithmic one are positive.
function ends(axis, values, padding) {
  const usable = values.filter(v => v !== null && v !== undefined && Number.isFinite(v) && (!axis.log || v > 0));
  if (!usable.length) return axis.log ? [0.1, 1] : [0, 1];
  let low = usable.reduce((a, b) => Math.min(a, b)), high = usable.reduce((a, b) => Math.max(a, b));
  if (axis.log) {
    if (axis.low !== undefined) low = Math.min(Math.max(low, axis.low), high);
    if (high < LEAST_RATIO * low) [low, high] = [low / 1.5, high * 1.5];
    const room = Math.pow(high / low, padding);
    return [low / room, high * room];
  }
  const room = (high - low || Math.abs(high) || 1) * padding;
  low = axis.low !== undefined ? Math.min(axis.low, low) : low - room;
  high = axis.high !== undefined ? Math.max(axis.high, high) : high + room;
  return [low, high > low ? high : low + 1];
}

function makeScale(axis, [low, high], from, to) {
  const forward = axis.log ? Math.log10 : v => v;
  const a = forward(low), b = forward(high);
  const scale = v => {
    if (v === null || v === undefined || (axis.log && v <= 0)) return null;
    return from + (to - from) * (forward(v) - a) / (b - a);
  };
  scale.low = low;
  scale.high = high;
  return scale;
}

function linearTicks(low, high, count) {
  const rough = (high - low) / Math.max(count, 1), power = Math.pow(10, Math.floor(Math.log10(rough)));
  const step = [1, 2, 5, 10].map(k => k * power).find(s => s >= rough) || 10 * power;
  const ticks = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k++) ticks.push(rounded(k * step, 12));
  return ticks;
}

function logTicks(low, high, count) {
  const first = Math.ceil(Math.log10(low) - 1e-9), last = Math.floor(Math.log10(high) + 1e-9);
  if (high < 5 * low) return linearTicks(low, high, count);
  if (last - first < 2) {
    const ticks = [];
    for (let k = first - 1; k <= last; k++) {
      for (const m of [1, 2, 5]) {
        const v = rounded(m * Math.pow(10, k), 12);
        if (v >= low && v <= high) ticks.push(v);
      }
    }
    return ticks;
  }
  const every = Math.max(1, Math.ceil((last - first + 1) / count)), ticks = [];
  for (let k = last; k >= first; k -= every) ticks.unshift(rounded(Math.pow(10, k), 12));
  return ticks;
}

const SUPERSCRIPT = "⁰¹²³⁴⁵⁶⁷⁸⁹";
function tickText(value, axis, ticks) {
  const size = Math.abs(value);
  const isPower = axis.log && Math.abs(Math.log10(size) - Math.round(Math.log10(size))) < 1e-9;
  const wide = ticks.length > 1 && ticks[ticks.length - 1] / ticks[0] >= 1000;
  if (isPower && (wide || size < 1e-3 || size >= 1e5)) {
    const digits = String(Math.abs(Math.round(Math.log10(size)))).replace(/\d/g, d => SUPERSCRIPT[d]);
    return "10" + (size < 1 ? "⁻" : "") + digits;
  }
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential();
  return String(value).replace("-", "−");
}

// Batch sizes and the like are their own ticks; the others are round numbers.
function ticksOf(axis, scale, values, count) {
  if (axis.log && values && values.length <= 8) return values;
  return (axis.log ? logTicks : linearTicks)(scale.low, scale.high, count);
}
