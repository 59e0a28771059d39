// The rules of dlhw.checks that two columns can decide: losses, accuracies, lines between nets, random labels, shares.

const LOSS_NAMES = ["value", "loss", "train_loss", "test_loss"], ACCURACY_NAMES = ["train_accuracy", "test_accuracy"];
const MOST_DECIMALS = 12;

// Digits after the point that the values need, at most twelve.
function decimals(values) {
  return Math.max(...values.map(v => v.toFixed(MOST_DECIMALS).replace(/0+$/, "").split(".")[1].length));
}

function halfUnit(values) {
  return 0.5 * 10 ** -decimals(values);
}

CHECKS["negative-loss"] = ({ item, columns, numbers }, limits) => {
  for (const name of LOSS_NAMES) {
    if (!(name in columns) || (name === "value" && item !== "loss")) continue;
    const rows = rowsWhere(columns[name], v => v < -limits.ROUNDING);
    if (rows.length) {
      return `${name} is ${threeDigits(columns[name][rows[0]])} in row ${numbers[rows[0]]}. `
        + "Squared errors and cross entropies cannot be negative.";
    }
  }
  return null;
};

CHECKS["accuracy-out-of-range"] = ({ columns, numbers }, limits) => {
  const names = ACCURACY_NAMES.filter(name => name in columns);
  if (!names.length) return { lacking: true };
  for (const name of names) {
    const whole = Math.max(...columns[name]) > limits.SHARE ? limits.PERCENT : 1;
    const rows = rowsWhere(columns[name], v => v < -limits.ROUNDING * whole || v > (1 + limits.ROUNDING) * whole);
    if (rows.length) {
      const value = columns[name][rows[0]], shown = whole === 1 ? threeDigits(value) : value.toFixed(1);
      return `${name} is ${shown} in row ${numbers[rows[0]]}. An accuracy is a share of examples, from `
        + (whole === 1 ? "0 to 1." : "0 to 1, or 0 to 100 in per cent.");
    }
  }
  return null;
};

function trainingLoss(columns) {
  return columns.value && !columns.batch ? columns.value : columns.train_loss;
}

CHECKS["constant-loss"] = ({ item, columns, rows }, limits) => {
  const values = trainingLoss(columns);
  if (!values || rows < limits.FEWEST_ROWS) return { lacking: true };
  if (rangeOf(values) > 0) return null;
  const size = Math.abs(values[0]);
  if (decimals(values) + (size >= 1 ? size.toFixed(0).length : 0) < limits.FEWEST_DIGITS) return { lacking: true };
  return `The loss is ${threeDigits(values[0])} at every ${item === "interpolation" ? "alpha" : "row"}, to the last of its digits. `
    + "Weights that change give losses that differ, so the weights that were evaluated did not change.";
};

CHECKS["never-below-the-start"] = ({ columns, rows }, limits) => {
  const values = trainingLoss(columns);
  if (!values || rows < limits.FEWEST_ROWS) return { lacking: true };
  const first = values[0], lowest = Math.min(...values.slice(1));
  if (first <= 0 || lowest <= (1 + limits.MARGIN) * first) return null;
  return `The training loss starts at ${threeDigits(first)} and is never below ${threeDigits(lowest)} again. A short step of `
    + "gradient descent lowers it: the steps go uphill, are too long, or the rows are reversed.";
};

CHECKS["grid-misses-the-nets"] = ({ columns: { alpha } }, limits) => {
  const grid = distinct(alpha);
  if (grid.length < limits.FEWEST) return { lacking: true };
  const spacing = medianOf(grid.slice(1).map((v, k) => v - grid[k]));
  const nearest = [0, 1].map(end => alpha.reduce((best, v) => Math.abs(v - end) < Math.abs(best - end) ? v : best));
  const absent = [0, 1].filter(end => Math.abs(nearest[end] - end) > limits.TOLERANCE * spacing);
  if (!absent.length) return null;
  return `alpha does not take ${absent.map(end => `${end} (the nearest is ${threeDigits(nearest[end])})`).join(" and ")}, `
    + "so the curve does not show the trained nets themselves. "
    + "Minima of the curve then seem to lie beside the nets, and a barrier cannot be computed.";
};

CHECKS["in-place-mixing"] = ({ x, columns }, limits) => {
  const name = limits.LOSSES.find(known => known in columns);
  if (!name) return { lacking: true };
  const alphas = distinct(x), loss = alphas.map(a => meanOf(columns[name].filter((_, k) => x[k] === a)));
  const arrival = factors => {
    let remains = 1;
    const start = factors.findIndex(f => Math.abs(remains *= f) <= limits.REMAINS);
    return start >= 0 && alphas.at(-1) - alphas[start] >= limits.SHORTEST ? start : null;
  };
  const unit = 2 * halfUnit(loss), scale = Math.min(rangeOf(loss), Math.abs(loss.at(-1)));
  const change = start => {
    const after = rangeOf(loss.slice(start));
    if (scale <= unit) return after > unit || rangeOf(loss) === 0 ? [Infinity, 0] : [0, Infinity];
    return [Math.max(0, after - unit) / scale, unit / scale];
  };
  const second = arrival(alphas.map(a => 1 - a)), first = arrival(alphas);
  for (const start of [second, first]) {
    if (start !== null && Math.max(...change(start)) <= limits.CONSTANT) {
      return `From alpha ${threeDigits(alphas[start])} to ${threeDigits(alphas.at(-1))} ${name} stays at ${threeDigits(loss.at(-1))}, `
        + `and varies by ${threeDigits(rangeOf(loss))} over the whole curve. This is what repeated mixing in place gives: `
        + "after a few steps nothing of one net remains. On the line between two nets the loss changes at every alpha.";
    }
  }
  return second === null || change(second)[0] <= limits.CONSTANT ? { lacking: true } : null;
};

function tau(all, most) {
  const values = all.filter((_, k) => k % Math.ceil(all.length / most) === 0);
  let sum = 0, pairs = 0;
  values.forEach((a, i) => values.slice(i + 1).forEach(b => { sum += Math.sign(b - a); pairs += 1; }));
  return pairs ? sum / pairs : 0;
}

function deviation(classes, examples) {
  return Math.sqrt((1 - 1 / classes) / classes / examples);
}

function afterStart({ x, columns }, name) {
  return name in columns ? columns[name].filter((_, k) => x[k] > 0) : null;
}

function laterHalf(values) {
  return meanOf(values.slice(values.length >> 1));
}

CHECKS["labels-drawn-anew"] = (table, limits) => {
  const accuracy = afterStart(table, "train_accuracy"), loss = afterStart(table, "train_loss");
  const fewest = loss ? limits.FEWEST : limits.FEWEST_ACCURACIES;
  if (distinct(table.x).length < table.rows || table.x.filter(x => x > 0).length < fewest) return { lacking: true };
  const fall = loss && 1 - laterHalf(loss) / Math.log(limits.CLASSES);
  if (loss && fall > limits.LEARNED_LOSS) return null;
  if (accuracy) return byAccuracy(accuracy, limits);
  if (!loss) return { lacking: true };
  const trend = -tau(loss, limits.MOST), chance = Math.log(limits.CLASSES);
  if (trend > limits.FALL && fall > limits.LEARNED_LOSS / 2) return null;
  if (trend > limits.NO_FALL) return { lacking: true };
  return `After ${loss.length} epochs the training loss is at ${threeDigits(loss.at(-1))}, near ln(${limits.CLASSES}) = `
    + `${chance.toFixed(3)}, and does not fall. Labels that are shuffled once are learned by heart, if slowly; these seem to `
    + "be drawn anew in every epoch.";
};

function byAccuracy(accuracy, limits) {
  const chance = 1 / limits.CLASSES, guesses = deviation(limits.CLASSES, limits.EXAMPLES), late = laterHalf(accuracy);
  const trend = tau(accuracy, limits.MOST) + (late - chance) / guesses / limits.DISTANCE;
  if (late - chance > limits.LEARNED * (1 - chance) || Math.abs(trend) > limits.TREND) return null;
  const steps = accuracy.slice(1).map((v, k) => (v - accuracy[k]) ** 2);
  if (Math.abs(trend) > limits.NO_TREND || Math.sqrt(meanOf(steps) / 2) / guesses < limits.NOISE) return { lacking: true };
  return `After ${accuracy.length} epochs the training accuracy is at chance, ${threeDigits(late)}, does not rise, and jumps `
    + "from epoch to epoch as independent guesses do. Labels that are shuffled once are learned by heart, if slowly; these "
    + "seem to be drawn anew in every epoch.";
}

CHECKS["labels-leaked"] = (table, limits) => {
  const accuracy = afterStart(table, "test_accuracy"), loss = afterStart(table, "test_loss");
  const values = accuracy ?? loss;
  if (!values || !values.length) return { lacking: true };
  const chance = 1 / limits.CLASSES, uniform = Math.log(limits.CLASSES);
  const ending = "Shuffled labels teach nothing about true ones, so true labels were among those of the training, or the "
    + "test labels were not the true ones.";
  if (accuracy) {
    const mean = meanOf(accuracy);
    if ((mean - chance) / (1 - chance) <= limits.ACCURACY) return null;
    return `On true labels, the mean test accuracy is ${threeDigits(mean)} where guessing gives ${threeDigits(chance)}. ${ending}`;
  }
  const lowest = Math.min(...loss);
  if (1 - lowest / uniform <= limits.LOSS) return null;
  return `On true labels, the test loss falls to ${threeDigits(lowest)} where guessing gives ${uniform.toFixed(3)}. ${ending}`;
};

CHECKS["train-accuracy-under-chance"] = ({ x, columns: { train_accuracy: accuracy } }, limits) => {
  if (!accuracy) return { lacking: true };
  const guessing = limits.IMBALANCE / limits.CLASSES, lowest = Math.min(...accuracy);
  if (lowest >= guessing - limits.DEVIATIONS * deviation(limits.CLASSES, limits.EXAMPLES)) return null;
  if (lowest >= guessing - limits.DEVIATIONS * deviation(limits.CLASSES, limits.FEW_EXAMPLES)) return { lacking: true };
  return `The training accuracy is ${threeDigits(lowest)} at epoch ${x[accuracy.indexOf(lowest)]}. Guessing among `
    + `${limits.CLASSES} classes gives ${threeDigits(1 / limits.CLASSES)} and training on these labels can only raise it, so it `
    + "was computed against labels other than those of the training.";
};
