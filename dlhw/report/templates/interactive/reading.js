// The slider of a figure, and the table of what is read where it stands.

class Reading {
  constructor(figure) {
    this.figure = figure;
    this.name = figure.spec.slider || "point";
    const id = uniqueId();
    this.input = element("input", { type: "range", id, min: 0, step: 1, value: 0 });
    this.value = element("output", { for: id, class: "chart-value" });
    this.live = element("p", { class: "chart-unseen", "aria-live": "polite" });
    this.head = element("tr");
    this.body = element("tbody");
    const table = element("table", { class: "chart-table" }, element("thead", {}, this.head), this.body);
    const label = element("label", { for: id }, this.name);
    this.node = element("div", {}, element("div", { class: "chart-slider" }, label, this.input, this.value), element("div", { class: "scroll" }, table), this.live);
    this.input.addEventListener("input", () => this.update(true));
  }

  // Where the slider can stand in this view: values of x, numbers of points, or pairs of a line and a point.
  stops() {
    const { spec } = this.figure, lines = this.figure.readLines();
    if (spec.mode === "point") {
      const points = lines.flatMap(({ panel, line }) => line.x.map((v, k) => ({ panel, line, k, x: v })));
      return points.sort((a, b) => a.x - b.x);
    }
    if (spec.positions) {
      return spec.mode === "x" ? [...new Set([...spec.positions, ...this.figure.ownPlaces()])].sort((a, b) => a - b) : spec.positions;
    }
    return [...new Set(lines.flatMap(({ line }) => line.x))].sort((a, b) => a - b);
  }

  // Keep the place when the view changes; at first, take that of the figure.
  reset() {
    const before = this.places ? this.places[this.k] : this.figure.wanted;
    this.places = this.stops();
    const last = this.places.length - 1, start = this.figure.spec.start ?? -1;
    let k = this.places.indexOf(before);
    if (k < 0 && typeof before === "number") k = nearest(this.places, before);
    if (k < 0) k = start < 0 ? last : Math.min(start, last);
    this.input.max = Math.max(last, 0);
    this.input.disabled = last < 1;
    this.input.value = k;
    this.update(false);
  }

  moveTo(k) {
    if (k === null || k === this.k) return;
    this.input.value = k;
    this.update(true);
  }

  follow(place) {
    const k = this.places.indexOf(place);
    if (k < 0 || k === this.k) return;
    this.input.value = k;
    this.update(false);
  }

  update(aloud) {
    this.k = Number(this.input.value);
    const place = this.places[this.k];
    if (place === undefined) return;
    const { spec } = this.figure, isPoint = spec.mode === "point";
    const here = isPoint ? `${this.k + 1} of ${this.places.length}` : asText(place);
    this.value.textContent = here;
    this.input.setAttribute("aria-valuetext", `${this.name} ${here}`);
    const { columns, rows } = isPoint ? this.ofPoint(place) : this.ofPlace(place);
    this.head.replaceChildren(...["", ...columns].map(text => element("th", { scope: "col" }, text)));
    this.body.replaceChildren(...rows.map(row => this.row(row, columns)));
    this.figure.mark(place, this.k);
    if (!aloud) return;
    this.figure.tellOthers(place);
    this.live.textContent = `${this.name} ${here}: ` + rows.map(row => this.spoken(row, columns)).join("; ");
  }

  ofPoint({ panel, line, k }) {
    const columns = [panel.spec.x.label, panel.spec.y.label, ...Object.keys(line.details)];
    const cells = [line.x[k], line.y[k], ...Object.values(line.details).map(values => values[k])].map(v => [asText(v), ""]);
    return { columns, rows: [{ label: line.label, line, cells }] };
  }

  // A row for every label; a column for every panel, or for what lines tell beside their place.
  ofPlace(place) {
    const { spec, panels } = this.figure, rows = new Map();
    const lines = this.figure.readLines(), details = lines.length ? Object.keys(lines[0].line.details) : [];
    const byDetails = spec.mode === "path" && details.length > 0;
    const columns = byDetails ? details : panels.map(panel => [panel.spec.title, panel.spec.y.label].filter(Boolean).join(": "));
    for (const { panel, line } of lines) {
      const k = pointAt(line, place, this.k, spec.mode);
      const row = rows.get(line.label) || { label: line.label, line, cells: columns.map(() => ["", ""]) };
      rows.set(line.label, row);
      if (byDetails) row.cells = columns.map(name => [asText((line.details[name] || [])[k]), ""]);
      else row.cells[panels.indexOf(panel)] = k === null ? ["–", ""] : [asText(line.y[k]), range(line, k)];
    }
    return { columns, rows: [...rows.values()] };
  }

  row({ label, line, cells }, columns) {
    const header = element("th", { scope: "row" }, swatch(line), label);
    const data = cells.map(([value, spread], k) => {
      const cell = element("td", { "data-column": columns[k] }, value);
      if (spread) cell.append(element("span", { class: "chart-range" }, ` ${spread}`));
      return cell;
    });
    return element("tr", {}, header, ...data);
  }

  spoken({ label, cells }, columns) {
    const values = cells.map(([value], k) => value && value !== "–" ? `${columns[k]} ${value}` : "").filter(Boolean);
    return `${label}: ${values.join(", ") || "no value"}`;
  }
}

function range(line, k) {
  if (!line.low || line.low[k] === null) return "";
  return `(${asText(line.low[k])} to ${asText(line.high[k])})`;
}

function nearest(places, value) {
  return places.reduce((best, v, k) => Math.abs(v - value) < Math.abs(places[best] - value) ? k : best, 0);
}

// The point of a line at a value of x, or with a number; null where it has none.
function pointAt(line, place, k, mode) {
  if (mode === "path") return k < line.x.length && line.y[k] !== null ? k : null;
  const at = line.x.indexOf(place);
  return at >= 0 && line.y[at] !== null ? at : null;
}

function swatch(line) {
  const svg = shape("svg", { class: "chart-swatch", viewBox: "0 0 26 10", "aria-hidden": "true" }), color = `var(--c${line.color || 0})`;
  if (line.points) svg.append(shape("circle", { cx: 13, cy: 5, r: 4, fill: color }));
  else svg.append(shape("path", { d: "M1 5H25", stroke: color, "stroke-dasharray": DASHES[line.dash || 0], class: line.faint ? "chart-faint" : "chart-line" }));
  return svg;
}
