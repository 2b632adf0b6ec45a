// The chart, its legend and the table beneath it, of the same series.

import { byId, clock, compact, make, number } from "./dom.js";

const HEIGHT = 320;
const hidden = new Set(); // Names of series that were switched off in the legend.
let plot = null;
let drawn = null;

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export function draw(found, title) {
  drawn = { found, title };
  drawPlot(found, title);
  drawLegend(found);
  drawTable(found);
}

function drawPlot({ times, shown }, title) {
  const frame = byId("chart");
  const key = JSON.stringify([title, shown.map(({ name }) => name), colour("--text")]);
  const data = [times, ...shown.map(({ values }) => values)];
  frame.setAttribute("aria-label", `${title}; the values are in the table below`);
  if (plot?.key === key) {
    plot.setData(data);
    return;
  }
  plot?.destroy();
  const axis = { stroke: colour("--quiet"), ticks: { stroke: colour("--line") } };
  const grid = { stroke: colour("--grid"), width: 1 };
  plot = new uPlot({
    width: frame.clientWidth,
    height: HEIGHT,
    legend: { show: false },
    cursor: { points: { size: 8 }, drag: { x: false, y: false } },
    scales: { y: { range: (_, least, most) => limits(least, most) } },
    axes: [
      { ...axis, grid: { show: false }, values: (_, ticks) => ticks.map(tick), space: 70 },
      { ...axis, grid, values: (_, ticks) => ticks.map(compact), size: 64 },
    ],
    series: [
      {},
      ...shown.map(({ name }, index) => ({
        label: name,
        show: !hidden.has(name),
        stroke: colour(`--s${index}`),
        width: 2,
        points: { size: 6, fill: colour(`--s${index}`) },
        fill: shown.length === 1 ? `${colour("--s0")}1f` : undefined,
      })),
    ],
    hooks: { setCursor: [(self) => point(self.cursor.idx)] },
  }, data, frame);
  plot.key = key;
}

function dot(index) {
  const mark = make("i");
  mark.style.background = `var(--s${index})`;
  return mark;
}

const tick = (seconds) => clock(new Date(seconds * 1000));

/** Room above; from zero where that is near. */
function limits(least, most) {
  if (least == null || most == null) return [0, 1];
  const room = (most - least || Math.abs(most) || 1) * 0.08;
  const low = least >= 0 && least <= most / 2 ? 0 : least - room;
  return [low, most + room];
}

function drawLegend({ shown, times }) {
  const legend = byId("legend");
  const names = JSON.stringify(shown.map(({ name }) => name));
  if (legend.dataset.names !== names) {
    legend.replaceChildren(...shown.map(({ name }, index) => {
      const pressed = String(!hidden.has(name));
      const button = make(
        "button",
        { type: "button", "aria-pressed": pressed, title: "Show or hide" },
        dot(index), make("span", { text: name }), make("b"),
      );
      button.addEventListener("click", () => toggle(name, index, button));
      return make("li", {}, button);
    }));
    legend.dataset.names = names;
  }
  point(plot.cursor.idx ?? times.length - 1);
}

/** The values at a place of the chart; the last ones there are where it is none. */
function point(place) {
  if (!drawn) return;
  const marks = byId("legend").querySelectorAll("b");
  drawn.found.shown.forEach(({ values }, index) => {
    const last = values.findLast((value) => value !== null);
    if (marks[index]) {
      marks[index].textContent = number(place == null ? last : values[place] ?? last);
    }
  });
}

function toggle(name, index, button) {
  const show = hidden.has(name);
  if (show) hidden.delete(name);
  else hidden.add(name);
  button.setAttribute("aria-pressed", String(show));
  plot.setSeries(index + 1, { show });
}

function drawTable({ times, shown }) {
  const head = make("tr", {}, make("th", { text: "Time", scope: "col" }));
  head.append(...shown.map(({ name }, index) => make("th", { scope: "col" }, dot(index), name)));
  byId("values-table").style.setProperty("--columns", shown.length + 1);
  const rows = [];
  for (let place = times.length - 1; place >= 0; place -= 1) {
    if (shown.every(({ values }) => values[place] === null)) continue;
    const cells = shown.map(({ values }) => make("td", { text: number(values[place]) }));
    rows.push(make("tr", {}, make("td", { text: tick(times[place]) }), ...cells));
  }
  byId("values-table").replaceChildren(make("thead", {}, head), make("tbody", {}, ...rows));
}

const again = () => drawn && byId("chart").clientWidth && drawPlot(drawn.found, drawn.title);

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
new ResizeObserver(([{ contentRect }]) => {
  if (plot && contentRect.width) plot.setSize({ width: contentRect.width, height: HEIGHT });
}).observe(byId("chart"));
