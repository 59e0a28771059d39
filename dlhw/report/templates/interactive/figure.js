// A figure that has numbers: chart and picture, views, slider, reader's numbers, embedded page.

const figures = [];

class InteractiveFigure {
  constructor(host, spec) {
    Object.assign(this, { host, spec, panels: [], view: spec.views ? spec.views[0].key : "" });
    this.body = element("div", { class: "chart-body" });
    this.bar = element("div", { class: "chart-bar", role: "group", "aria-label": "What this figure shows" });
    const chart = element("div", { class: "chart" }, this.bar, this.body);
    host.insertBefore(chart, host.firstChild);
    const names = spec.page ? ["Surface to turn", "Picture"] : ["Chart", "Picture"];
    this.kinds = names.map((name, k) => button(name, false, () => this.choose(k === 0)));
    this.bar.append(...this.kinds);
    this.choose(!spec.page && !spec.picture);
    figures.push(this);
  }

  // The chart is built when it is first seen, so that the page opens at once.
  choose(chart) {
    this.host.classList.toggle("chart-shown", chart);
    press(this.kinds, this.kinds[chart ? 0 : 1]);
    if (chart) this.waitUntilSeen();
  }

  waitUntilSeen() {
    if (this.built) return this.redraw();
    if (this.spec.page || !("IntersectionObserver" in window)) return this.build();
    if (this.observer) return undefined;
    this.body.style.minHeight = `${260 * Math.ceil(this.spec.panels.length / (this.spec.columns || 1))}px`;
    this.observer = new IntersectionObserver(entries => {
      if (entries.some(entry => entry.isIntersecting)) { this.observer.disconnect(); this.build(); }
    }, { rootMargin: "400px" });
    return this.observer.observe(this.body);
  }

  build() {
    if (this.built) return;
    this.built = true;
    this.body.style.minHeight = "";
    if (this.spec.page) { this.openPage(); return; }
    const { spec } = this;
    this.panels = spec.panels.map(panel => new Panel(panel, spec.places));
    this.grid = element("div", { class: "chart-panels", style: `--columns: ${spec.columns || 1}` }, ...this.panels.map(panel => panel.node));
    this.reading = new Reading(this);
    this.legend = element("p", { class: "chart-legend" });
    this.body.append(...this.switch(), this.grid, this.legend, this.reading.node);
    if (spec.statistic) this.body.append(element("p", { class: "chart-note" }, spec.statistic));
    if (spec.examples) { this.examples = new Examples(spec.examples); this.body.append(this.examples.node); }
    if (spec.own) this.body.append(ownNumbers(this));
    for (const panel of this.panels) {
      for (const name of ["pointermove", "pointerdown"]) panel.svg.addEventListener(name, event => this.hover(panel, event));
    }
    new ResizeObserver(() => { if (this.grid.clientWidth !== this.width) this.redraw(); }).observe(this.grid);
    this.redraw();
  }

  // A usual mistake, and what is right.
  switch() {
    const { views } = this.spec;
    if (!views) return [];
    const note = element("p", { class: "chart-note", "aria-live": "polite" }, views[0].note);
    const buttons = views.map((view, k) => button(view.label, k === 0, one => {
      this.view = view.key;
      note.textContent = view.note;
      press(buttons, one);
      this.redraw();
    }));
    return [element("div", { class: "chart-bar", role: "group", "aria-label": "Usual mistake or right" }, ...buttons), note];
  }

  redraw() {
    if (!this.reading || !this.grid.clientWidth) return;
    this.width = this.grid.clientWidth;
    for (const panel of this.panels) panel.draw(Math.max(240, Math.floor(panel.node.clientWidth)), this.view);
    if (this.spec.mode === "point") this.legend.replaceChildren(...this.legendEntries());
    this.reading.reset();
  }

  // Figures of a run that are read along the same quantity are read at the same place.
  tellOthers(place) {
    const { group, slider, mode } = this.spec;
    for (const other of figures) {
      const same = other !== this && group && other.spec.group === group && other.spec.slider === slider && other.spec.mode === mode;
      if (!same || mode === "point") continue;
      other.wanted = place;
      if (other.reading) other.reading.follow(place);
    }
  }

  readLines() {
    return this.panels.flatMap(panel => panel.visible(this.view).filter(line => !line.silent).map(line => ({ panel, line })));
  }

  // Panels may share their lines: each name once.
  legendEntries() {
    const named = new Map(this.readLines().map(({ line }) => [`${line.label}/${line.color || 0}`, line]));
    return [...named.values()].map(line => element("span", {}, swatch(line), line.label));
  }

  ownPlaces() {
    return this.panels.flatMap(panel => panel.own ? panel.own.x : []);
  }

  mark(place, k) {
    const { mode } = this.spec;
    for (const panel of this.panels) {
      if (mode === "point") { panel.mark(place.panel === panel ? [[place.line, place.k]] : []); continue; }
      const pairs = panel.visible(this.view).map(line => [line, pointAt(line, place, k, mode)]).filter(pair => pair[1] !== null);
      panel.mark(pairs, mode === "x" ? place : null);
    }
    if (this.examples) {
      const at = this.spec.positions.indexOf(place);
      this.examples.show(at >= 0 ? at : nearest(this.spec.positions, place));
    }
  }

  hover(panel, event) {
    const box = panel.svg.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
    const { places } = this.reading, { mode } = this.spec;
    if (mode === "x") return this.reading.moveTo(closest(places.map(v => [panel.x(v), y]), x, y, Infinity));
    if (mode === "point") return this.reading.moveTo(closest(places.map(p => p.panel === panel ? panel.at(p.line, p.k) : [null, null]), x, y, 30));
    const points = panel.visible(this.view).flatMap(line => line.x.map((_, k) => [...panel.at(line, k), k]));
    const found = closest(points, x, y, 30);
    return this.reading.moveTo(found === null || points[found][2] >= places.length ? null : points[found][2]);
  }

  openPage() {
    const { key, title, note, data } = this.spec.page, plain = text => text.replace(/[&<>"]/g, c => `&#${c.charCodeAt(0)};`);
    const code = [...document.querySelectorAll("script.page-code")].find(one => one.dataset.key === key);
    if (!code) { this.body.append(element("p", { class: "chart-note" }, "This page has no code for the surface.")); return; }
    const parts = { "%TITLE%": plain(title), "%NOTE%": plain(note), "%DATA%": data };
    const html = JSON.parse(code.textContent).replace(/%(TITLE|NOTE|DATA)%/g, name => parts[name]);
    this.body.append(element("iframe", { class: "chart-page", title, sandbox: "allow-scripts", srcdoc: html }));
  }
}

function closest(points, x, y, within) {
  let best = null, least = within * within;
  points.forEach(([px, py], k) => {
    if (px === null || py === null || px === undefined) return;
    const distance = (px - x) ** 2 + (py - y) ** 2;
    if (distance < least) { least = distance; best = k; }
  });
  return best;
}

for (const numbers of document.querySelectorAll("figure script.chart-numbers")) {
  const host = numbers.closest("figure");
  if (!host.classList.contains("chart-host")) {
    host.classList.add("chart-host");
    new InteractiveFigure(host, JSON.parse(numbers.textContent));
  }
}
