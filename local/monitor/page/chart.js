// The chart, its legend and the table beneath it, of the same series.

import { align, byId, clock, labels, make, number, put, tickLabel, utc, zone } from "./dom.js";

const HEIGHT = 320;
const POINT_SPACE = 12; // Pixels from point to point from which each is marked.
const hidden = new Set(); // Names of series that the legend switched off.
const owners = Array(10).fill(null); // Names, each at the number of its colour.
const order = []; // Names as they are listed: the greatest first, newcomers after them.
let ownersOf = null; // The dimension of those names.
let plot = null;
let drawn = null;

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const at = (seconds) => new Date(seconds * 1000);
const tick = (seconds) => clock(at(seconds));

/** Draws series. The colour of a value of a dimension follows from its place among all values, and
 * stays with it in all metrics.
 */
export function draw(found, title, view, { split, values }) {
  if (drawn?.view !== view) {
    hidden.clear();
    order.length = 0;
  }
  if (!split || ownersOf !== split) owners.fill(null);
  ownersOf = split;
  const colours = coloursOf(found.shown.map(({ name }) => name), values);
  order.push(...found.shown.map(({ name }) => name).filter((name) => !order.includes(name)));
  const shown = found.shown.map((each, index) => ({ ...each, colour: `--s${colours[index]}` }))
    .sort((one, other) => order.indexOf(one.name) - order.indexOf(other.name));
  drawn = { ...found, shown, title, view };
  drawPlot();
  drawLegend();
  drawTable();
}

function coloursOf(names, values) {
  const place = (name) => values.indexOf(name);
  const newcomers = names.filter((each) => !owners.includes(each))
    .sort((one, other) => place(one) - place(other));
  for (const name of newcomers) {
    const own = place(name) % owners.length;
    const free = owners[own] === null ? own : owners.indexOf(null);
    owners[free < 0 ? owners.findIndex((each) => !names.includes(each)) : free] = name;
  }
  return names.map((name) => owners.indexOf(name));
}

function drawPlot() {
  const { times, shown, title, view, minutes } = drawn;
  const frame = byId("chart");
  const key = JSON.stringify([view, minutes, title, shown.map(({ name }) => name), colour("--text")]);
  const data = [times, ...shown.map(({ values }) => values)];
  frame.setAttribute("aria-label", `${title}; the values are in the table below`);
  if (plot?.key === key) {
    const { min, max } = plot.scales.x;
    plot.setData(data);
    if (!byId("unzoom").hidden) plot.setScale("x", { min, max });
    return;
  }
  plot?.destroy();
  byId("unzoom").hidden = true;
  const line = { show: true, stroke: colour("--line"), width: 1, size: 7 };
  const axis = { stroke: colour("--quiet"), ticks: line };
  const grid = { stroke: colour("--grid"), width: 1 };
  plot = new uPlot({
    width: frame.clientWidth,
    height: HEIGHT,
    legend: { show: false },
    cursor: { points: { size: 8 }, drag: { x: true, y: false, dist: 5 } },
    scales: { y: { range: (_, least, most) => limits(least, most) } },
    axes: [
      { ...axis, grid: { show: false }, border: line, space: 70,
        values: (_, ticks) => ticks.map((seconds) => tickLabel(at(seconds))) },
      { ...axis, grid, ticks: { show: false }, gap: 8, size: room,
        values: (_, ticks) => labels(ticks) },
    ],
    series: [
      {},
      ...shown.map(({ name, colour: own }) => ({
        label: name,
        show: !hidden.has(name),
        stroke: colour(own),
        width: 2,
        points: { size: 6, fill: colour(own), show: true, filter: shownPoints },
      })),
    ],
    hooks: {
      setCursor: [(self) => point(self.cursor.idx)],
      setSelect: [(self) => { if (self.select.width > 0) byId("unzoom").hidden = false; }],
    },
  }, data, frame);
  plot.key = key;
}

/** The width of an axis with these labels, in pixels. */
function room(self, texts, index) {
  const widths = (texts ?? []).map((text) => {
    [self.ctx.font] = self.axes[index].font;
    return self.ctx.measureText(text).width / devicePixelRatio;
  });
  return Math.ceil(Math.max(40, ...widths)) + 16;
}

/** The places of points that no line shows, as they have no neighbour; of all if there is room. */
function shownPoints(self, series, _show, _gaps) {
  const values = self.data[series];
  const [first, last] = self.series[0].idxs;
  const wide = (last - first) * POINT_SPACE < self.bbox.width / devicePixelRatio;
  const places = [];
  for (let place = first; place <= last; place += 1) {
    const alone = values[place - 1] == null && values[place + 1] == null;
    if (values[place] != null && (wide || alone)) places.push(place);
  }
  return places;
}

/** The range of the axis: with space above and below; from zero if that is near, or for a constant. */
function limits(least, most) {
  if (least == null || most == null) return [0, 1];
  if (least === most) return least ? [Math.min(0, least * 1.25), Math.max(0, most * 1.25)] : [0, 1];
  const space = (most - least) * 0.08;
  const low = least >= 0 && least <= most / 2 ? 0 : least - space;
  return [low, most + space];
}

function drawLegend() {
  const legend = byId("legend");
  align(legend, drawn.shown.map(({ name }) => name), (name) => {
    const button = make("button", { type: "button", title: `Show or hide ${name}` }, make("i"),
                        make("span", { text: name }), make("b"));
    button.addEventListener("click", () => toggle(name, button));
    return make("li", {}, button);
  });
  drawn.shown.forEach((each, index) => {
    paint(legend.children[index], each);
    const pressed = String(!hidden.has(each.name));
    legend.children[index].firstChild.setAttribute("aria-pressed", pressed);
  });
  point(plot.cursor.idx);
}

const paint = (element, { colour: own }) => element.style.setProperty("--own", `var(${own})`);

/** Shows the values at a place of the chart; without one, the latest value of each series. */
function point(place) {
  const { times, shown } = drawn;
  put(byId("moment"), place == null ? "Latest values" : `Values at ${tick(times[place])}`);
  byId("legend").querySelectorAll("b").forEach((mark, index) => {
    const values = shown[index]?.values ?? [];
    put(mark, number(place == null ? values.findLast((value) => value !== null) : values[place]));
  });
}

function toggle(name, button) {
  const show = hidden.has(name);
  if (show) hidden.delete(name);
  else hidden.add(name);
  button.setAttribute("aria-pressed", String(show));
  plot.setSeries(drawn.shown.findIndex((each) => each.name === name) + 1, { show });
}

function drawTable() {
  const { times, shown } = drawn;
  const table = byId("values-table");
  const columns = ["time", ...shown.map(({ name }) => `of ${name}`)];
  const head = table.tHead.rows[0];
  align(head, columns, () =>
    make("th", { scope: "col" }, make("div", {}, make("i"), make("span"))));
  put(head.firstChild, `Time (${zone()})`);
  shown.forEach((each, index) => {
    const cell = head.children[index + 1];
    paint(cell, each);
    put(cell.querySelector("span"), each.name);
    cell.title = each.name;
  });
  const places = times.map((_, place) => place).reverse()
    .filter((place) => shown.some(({ values }) => values[place] !== null));
  const rows = table.tBodies[0];
  align(rows, places.map((place) => String(times[place])), () => make("tr"));
  places.forEach((place, index) => {
    const row = rows.rows[index];
    align(row, columns, () => make("td"));
    put(row.firstChild, tick(times[place]));
    row.firstChild.title = utc(at(times[place]));
    shown.forEach(({ values }, column) => put(row.children[column + 1], number(values[place])));
  });
}

byId("unzoom").addEventListener("click", () => {
  byId("unzoom").hidden = true;
  plot.setData(plot.data);
});
byId("chart").addEventListener("dblclick", () => { byId("unzoom").hidden = true; });

/** The values as CSV (RFC 4180): times in UTC, oldest first, an empty cell for no value. */
function csv() {
  const { times, shown } = drawn;
  const cell = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const head = ["time", ...shown.map(({ name }) => cell(name))];
  const rows = times.map((time, place) =>
    [at(time).toISOString(), ...shown.map(({ values }) => values[place] ?? "")]);
  return [head, ...rows].map((row) => `${row.join()}\r\n`).join("");
}

byId("csv").addEventListener("click", () => {
  const href = URL.createObjectURL(new Blob([csv()], { type: "text/csv" }));
  make("a", { href, download: "metrics.csv" }).click();
  setTimeout(() => URL.revokeObjectURL(href), 60_000);
});

const again = () => drawn && byId("chart").clientWidth && drawPlot();

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
new ResizeObserver(([{ contentRect }]) => {
  if (plot && contentRect.width) plot.setSize({ width: contentRect.width, height: HEIGHT });
}).observe(byId("chart"));
