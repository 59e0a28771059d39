// The rules of dlhw.checks that two columns can decide: sensitivity, shares and ratios.

CHECKS["negative-sensitivity"] = ({ columns: { value }, numbers }) => {
  const rows = rowsWhere(value, v => v < 0);
  if (!rows.length) return null;
  return `value is ${threeDigits(value[rows[0]])} in row ${numbers[rows[0]]}. A mean of norms cannot be negative.`;
};

function logDensity(t, free) {
  return -(free + 1) / 2 * Math.log1p(t * t / free);
}

// A line through log value against log batch, and the log likelihoods of the factors 1, 1/B and 1/B².
function slopeOf({ columns: { batch, value } }, limits) {
  if (batch.some(b => b <= 0) || value.some(v => v <= 0)) return null;
  const sizes = distinct(batch);
  if (sizes.length < limits.SIZES || sizes.at(-1) < limits.SPAN * sizes[0]) return null;
  const x = sizes.map(Math.log);
  const y = sizes.map(size => meanOf(value.filter((_, k) => batch[k] === size).map(Math.log)));
  const middle = meanOf(x), centered = x.map(v => v - middle), height = meanOf(y);
  const spread = centered.reduce((a, v) => a + v * v, 0);
  const slope = centered.reduce((a, v, k) => a + v * y[k], 0) / spread;
  const squares = y.reduce((a, v, k) => a + (v - height - slope * centered[k]) ** 2, 0), free = x.length - 2;
  const moderated = (squares + limits.SCATTER_WEIGHT * limits.SCATTER ** 2) / (free + limits.SCATTER_WEIGHT);
  const scale = Math.sqrt(limits.SLOPE_SPREAD ** 2 + moderated / spread);
  const size = height / Math.LN10, logBatch = middle / Math.LN10;
  const likelihoods = [0, 1, 2].map(k => logDensity((slope + k - limits.SLOPE) / scale, limits.SLOPE_TAIL)
    + logDensity((size + k * logBatch - limits.SIZE) / limits.SIZE_SPREAD_UNKNOWN, limits.SIZE_TAIL));
  const explained = [0, ...[1, 2].filter(k => limits.STEEPEST <= slope + k && slope + k <= limits.FLATTEST)];
  const factor = explained.reduce((best, k) => likelihoods[k] > likelihoods[best] ? k : best, 0);
  const quantile = free <= limits.QUANTILES.length ? limits.QUANTILES[free - 1] : limits.NORMAL + 2.5 / free;
  return { slope, halfWidth: quantile * Math.sqrt(squares / free / spread), size, logBatch, likelihoods, factor };
}

function batchFactor(factor, name) {
  return (table, limits) => {
    const line = slopeOf(table, limits);
    if (line === null) return { lacking: true };
    if (line.factor !== factor) return null;
    const evidence = line.likelihoods[factor] - line.likelihoods[0];
    if (evidence < limits.LIKELIER) return { lacking: true };
    return `The log-log slope against the batch size is ${line.slope.toFixed(2)} ± ${line.halfWidth.toFixed(2)} (95 %), `
      + `and a typical value is ${threeDigits(10 ** line.size)} at batch size ${threeDigits(10 ** line.logBatch)}: `
      + `that is ${threeDigits(Math.exp(evidence))} times as likely with the factor ${name} as without. `
      + "Right ones are mostly between 0.1 and 1.1, where inputs lie in 0 to 1, and their slope between -0.7 and 0.3.";
  };
}

CHECKS["batch-mean-gradient"] = batchFactor(1, "1/B");
CHECKS["batch-mean-gradient-twice"] = batchFactor(2, "1/B²");

CHECKS["ratio-not-a-count"] = ({ columns: { ratio }, numbers }) => {
  const rows = rowsWhere(ratio, v => v < 0 || v > 1);
  if (!rows.length) return { lacking: true };
  return `ratio is ${threeDigits(ratio[rows[0]])} in row ${numbers[rows[0]]}. A share of the eigenvalues lies between 0 and 1.`;
};

// Shares of the components of a random walk of so many points in many dimensions.
function walkShares(points) {
  const inverse = Array.from({ length: points - 1 }, (_, k) => 1 / Math.sin(Math.PI * (k + 1) / (2 * points)) ** 2);
  const total = inverse.reduce((a, b) => a + b, 0);
  return inverse.map(v => v / total);
}

CHECKS["random-walk-shares"] = ({ columns: { component, share } }, limits) => {
  const [fewest, most] = limits.COMPONENTS;
  if (distinct(component).length < share.length) return { lacking: true };
  if (share.length < fewest || share.slice(0, fewest).some(v => v <= 0)) return { lacking: true };
  const first = share.filter(v => v > 0).slice(0, most);
  let nearest = null, least = Infinity;
  for (let points = share.length + 1; points <= limits.MANY; points += 1) {
    if (points > 20 && points % 10) continue;
    const walk = walkShares(points).slice(0, first.length);
    const distance = Math.max(...first.map((v, k) => Math.abs(Math.log(v / walk[k]))));
    if (walk.length === first.length && distance < least) [nearest, least] = [walk, distance];
  }
  if (nearest === null || least > limits.CLOSE) return null;
  const numbers = values => values.map(v => threeDigits(100 * v)).join(", ");
  return `The shares are ${numbers(first)} %, and those of a random walk ${numbers(nearest)} %. `
    + "They show no direction of the training: steps in random directions have the same.";
};
