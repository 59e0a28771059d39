// One pair of axes with its lines, as SVG.

const DASHES = ["", "7 3", "2 2.5", "8 3 2 3"];
const MARGIN = { left: 50, right: 14, top: 8, bottom: 40 };

class Panel {
  constructor(spec, places) {
    this.spec = spec;
    this.lines = (spec.lines || []).map(line => ({ ...line, x: places[line.x], details: line.details || {} }));
    this.own = null;
    this.clip = uniqueId();
    const name = [spec.title, spec.y.label].filter(Boolean).join(": ");
    this.svg = shape("svg", { role: "img", "aria-label": `${name}, against ${spec.x.label}; the values are in the table below` });
    this.heading = element("p", { class: "chart-heading" });
    if (spec.title) this.heading.append(element("b", {}, spec.title), " ");
    this.heading.append(spec.y.label);
    this.node = element("div", { class: "chart-panel" }, this.heading, this.svg);
  }

  // All that can be seen in a view; the numbers of the reader are in every one.
  visible(view) {
    const lines = this.lines.filter(line => !line.view || line.view === view);
    return this.own ? [...lines, this.own] : lines;
  }

  values(name) {
    const every = this.own ? [...this.lines, this.own] : this.lines;
    if (name === "x") return every.flatMap(line => line.x);
    const levels = (this.spec.levels || []).map(level => level[0]);
    return every.flatMap(line => [...line.y, ...(line.low || []), ...(line.high || []), ...(line.seeds || []).flat()]).concat(levels);
  }

  draw(width, view) {
    const { spec } = this, equal = Boolean(spec.equal);
    const height = equal ? Math.min(width, 380) : Math.max(190, Math.min(280, 0.5 * width));
    const box = { left: MARGIN.left, right: width - MARGIN.right, top: MARGIN.top, bottom: height - MARGIN.bottom };
    const dotted = this.lines.some(line => line.points || line.seeds);
    let x = ends(spec.x, this.values("x"), dotted || equal ? 0.04 : 0), y = ends(spec.y, this.values("y"), 0.05);
    if (equal) [x, y] = sameUnits(x, y, box);
    this.x = makeScale(spec.x, x, box.left, box.right);
    this.y = makeScale(spec.y, y, box.bottom, box.top);
    this.box = box;
    this.view = view;
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.svg.style.height = `${height}px`;
    this.markers = shape("g", { class: "chart-markers" });
    const clip = shape("clipPath", { id: this.clip });
    clip.append(shape("rect", { x: box.left - 5, y: box.top - 5, width: box.right - box.left + 10, height: box.bottom - box.top + 10 }));
    const inside = shape("g", { "clip-path": `url(#${this.clip})` });
    for (const line of this.visible(view)) inside.append(...this.shapes(line));
    this.svg.replaceChildren(clip, this.grid(dotted, width), inside, this.labels(), this.markers);
  }

  grid(dotted, width) {
    const group = shape("g", { class: "chart-grid" }), { box, spec } = this;
    const distinct = dotted ? [...new Set(this.values("x"))].sort((a, b) => a - b) : null;
    const xTicks = ticksOf(spec.x, this.x, distinct, Math.max(3, Math.floor(width / 90)));
    let last = -Infinity;
    for (const tick of xTicks) {
      const at = this.x(tick), text = tickText(tick, spec.x, xTicks);
      group.append(shape("line", { x1: at, x2: at, y1: box.top, y2: box.bottom }));
      if (at - last < 7 * text.length + 6) continue;
      last = at;
      group.append(shape("text", { x: at, y: box.bottom + 16, "text-anchor": "middle" }, text));
    }
    const yTicks = ticksOf(spec.y, this.y, null, 5);
    for (const tick of yTicks) {
      const at = this.y(tick);
      group.append(shape("line", { x1: box.left, x2: box.right, y1: at, y2: at }));
      group.append(shape("text", { x: box.left - 6, y: at + 4, "text-anchor": "end" }, tickText(tick, spec.y, yTicks)));
    }
    for (const [place] of spec.marks || []) {
      const at = this.x(place);
      group.append(shape("line", { class: "chart-level", x1: at, x2: at, y1: box.top, y2: box.bottom }));
    }
    for (const [value] of spec.levels || []) {
      const at = this.y(value);
      if (at !== null) group.append(shape("line", { class: "chart-level", x1: box.left, x2: box.right, y1: at, y2: at }));
    }
    group.append(shape("text", { x: (box.left + box.right) / 2, y: box.bottom + 34, "text-anchor": "middle" }, spec.x.label));
    return group;
  }

  // Names of marks and levels, on top of the lines; those of levels that are close stand side by side.
  labels() {
    const group = shape("g", { class: "chart-labels" }), { box, spec } = this, taken = [];
    for (const [place, text] of spec.marks || []) {
      const at = this.x(place), first = at + 7 * text.length < box.right;
      group.append(shape("text", { x: first ? at + 4 : at - 4, y: box.bottom - 5, "text-anchor": first ? "start" : "end" }, text));
    }
    for (const [value, text] of spec.levels || []) {
      const at = this.y(value);
      if (at === null) continue;
      const end = Math.min(box.right - 8, ...taken.filter(one => Math.abs(one.at - at) < 13).map(one => one.left));
      group.append(shape("text", { x: end, y: at - 5, "text-anchor": "end" }, text));
      taken.push({ at, left: end - 7 * text.length - 6 });
    }
    return group;
  }

  shapes(line) {
    const made = [], color = `var(--c${line.color || 0})`;
    if (line.low && !line.seeds) made.push(shape("path", { class: "chart-band", d: this.bandPath(line), fill: color }));
    for (const seed of line.seeds || []) made.push(...this.dots(line.x, seed, color, 2.2, "chart-seed"));
    if (line.points) return [...made, ...this.dots(line.x, line.y, color, 4, "chart-dot")];
    const d = this.linePath(line.x, line.y);
    const look = { d, stroke: color, "stroke-dasharray": DASHES[line.dash || 0], class: line.faint ? "chart-faint" : "chart-line" };
    made.push(shape("path", look));
    if (line.dotted) made.push(...this.dots(line.x, line.y, color, 3.5, "chart-dot"));
    if (this.spec.equal) made.push(...this.dots(line.x, line.y, color, 2, "chart-dot"), this.ring(line, color));
    return made;
  }

  ring(line, color) {
    const [x, y] = this.at(line, 0);
    return shape("circle", { class: "chart-ring", cx: x, cy: y, r: 5, stroke: color });
  }

  at(line, k) {
    return [this.x(line.x[k]), this.y(line.y[k])];
  }

  linePath(x, y) {
    let d = "", pen = "M";
    x.forEach((v, k) => {
      const across = this.x(v), up = this.y(y[k]);
      if (across === null || up === null) { pen = "M"; return; }
      d += `${pen}${across.toFixed(1)} ${up.toFixed(1)}`;
      pen = "L";
    });
    return d;
  }

  // A band to zero on a logarithmic axis ends at the lower edge.
  bandPath(line) {
    const known = line.x.map((_, k) => k).filter(k => this.x(line.x[k]) !== null && this.y(line.high[k]) !== null);
    const point = (k, v) => `${this.x(line.x[k]).toFixed(1)} ${(this.y(v) ?? this.box.bottom + 5).toFixed(1)}`;
    const there = known.map(k => point(k, line.high[k])), back = known.reverse().map(k => point(k, line.low[k]));
    return known.length ? `M${[...there, ...back].join("L")}Z` : "";
  }

  dots(x, y, color, r, name) {
    const made = [];
    x.forEach((v, k) => {
      const across = this.x(v), up = this.y(y[k]);
      if (across !== null && up !== null) made.push(shape("circle", { class: name, cx: across.toFixed(1), cy: up.toFixed(1), r, fill: color }));
    });
    return made;
  }

  // Mark points: pairs of a line and the number of its point; at: where a vertical line stands.
  mark(pairs, at = null) {
    const made = [];
    if (at !== null && this.x(at) !== null) {
      const x = this.x(at);
      made.push(shape("line", { class: "chart-cursor", x1: x, x2: x, y1: this.box.top, y2: this.box.bottom }));
    }
    for (const [line, k] of pairs) {
      const [x, y] = this.at(line, k);
      if (x !== null && y !== null) made.push(shape("circle", { class: "chart-marker", cx: x, cy: y, r: 5.5, fill: `var(--c${line.color || 0})` }));
    }
    this.markers.replaceChildren(...made);
  }
}

// Widen one of two ranges until a unit has as many pixels along both.
function sameUnits(x, y, box) {
  const perX = (x[1] - x[0]) / (box.right - box.left), perY = (y[1] - y[0]) / (box.bottom - box.top), unit = Math.max(perX, perY);
  const widened = ([low, high], pixels) => [(low + high - unit * pixels) / 2, (low + high + unit * pixels) / 2];
  return [widened(x, box.right - box.left), widened(y, box.bottom - box.top)];
}
