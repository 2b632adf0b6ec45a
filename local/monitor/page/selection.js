// What is chosen: kept in the URL, and made to fit what there is.

const DEFAULTS = {
  resource: "", namespace: "", metric: "", aggregation: "average", split: "",
  dimension: "", operator: "eq", value: "", minutes: "60", tab: "chart",
};
const OWN = "MetricRelay"; // The namespace of the relay's metrics on itself.
const CHOICES = {
  aggregation: ["average", "minimum", "maximum", "total", "count"],
  operator: ["eq", "ne", "sw"],
  minutes: ["15", "30", "60", "180", "720", "1440"],
  tab: ["chart", "refused", "dead"],
};

export function read() {
  const given = new URLSearchParams(location.search);
  const selection = { ...DEFAULTS, filters: given.getAll("filter") };
  for (const name of Object.keys(DEFAULTS)) {
    const value = given.get(name);
    if (value !== null && (!CHOICES[name] || CHOICES[name].includes(value))) {
      selection[name] = value;
    }
  }
  return selection;
}

/** Puts the selection into the address; with `push` the browser's Back leads to the one before. */
export function keep(selection, push = false) {
  const query = new URLSearchParams();
  for (const name of Object.keys(DEFAULTS)) {
    if (selection[name] !== DEFAULTS[name]) query.set(name, selection[name]);
  }
  for (const filter of selection.filters) query.append("filter", filter);
  const text = query.toString();
  const address = text ? `?${text}` : location.pathname;
  if (address === (location.search || location.pathname)) return;
  history[push ? "pushState" : "replaceState"](null, "", address);
}

/** A filter as the address has it; names and values may contain anything. */
export const filterText = (dimension, operator, value) =>
  JSON.stringify([dimension, operator, value]);

/** The parts of such a text; null for one that was written by hand and is wrong. */
export function filterParts(text) {
  try {
    const parts = JSON.parse(text);
    const right = parts.length === 3 && parts.every((part) => typeof part === "string")
      && CHOICES.operator.includes(parts[1]);
    return right ? parts : null;
  } catch {
    return null;
  }
}

const same = (one, other) => one.toLowerCase() === other.toLowerCase();

const newest = (metrics) => metrics.reduce((found, each) => {
  const own = each.namespace === OWN;
  const better = !found || (own === (found.namespace === OWN) ? each.added > found.added : !own);
  return better ? each : found;
}, null);

let guessed = ""; // The relay's own metric that was shown for lack of another.

/** The resource, the metrics of its namespace, and the metric that are chosen, where they exist.
 *
 * What is not chosen yet becomes what a producer published last; what was chosen and is gone
 * stays chosen.
 */
export function settle(selection, catalogue) {
  const { resources } = catalogue;
  const everything = resources.flatMap(({ resourceId, metrics }) =>
    metrics.map((each) => ({ ...each, resourceId })));
  const latest = newest(everything);
  const name = JSON.stringify([selection.resource, selection.namespace, selection.metric]);
  if (guessed === name && latest && latest.namespace !== OWN) {
    Object.assign(selection, { resource: "", namespace: "", metric: "" });
  }
  const open = !selection.resource && !selection.namespace && !selection.metric;
  if (!selection.resource && latest) selection.resource = latest.resourceId;
  const resource = resources.find((each) => same(each.resourceId, selection.resource));
  const all = resource?.metrics ?? [];
  if (!selection.namespace && all.length) selection.namespace = newest(all).namespace;
  const metrics = all.filter((each) => same(each.namespace, selection.namespace));
  if (!selection.metric && metrics.length) selection.metric = newest(metrics).metric;
  const metric = metrics.find((each) => same(each.metric, selection.metric));
  if (resource) selection.resource = resource.resourceId;
  if (metric) {
    selection.namespace = metric.namespace;
    selection.metric = metric.metric;
    for (const name of ["split", "dimension"]) {
      const known = metric.dimensions.find((each) => same(each, selection[name]));
      selection[name] = known ?? "";
    }
  }
  if (open && metric?.namespace === OWN) {
    guessed = JSON.stringify([selection.resource, selection.namespace, selection.metric]);
  }
  return { resource, metrics, metric, namespaces: [...new Set(all.map((each) => each.namespace))] };
}

const SERIES = 10; // Of a split; the colours that can be told apart.
// Minutes of one value, by the minutes that are shown.
const GRAINS = { 15: 1, 30: 1, 60: 1, 180: 1, 720: 5, 1440: 15 };

/** The parameters of the query; one series more than is shown, to know whether there are more.
 *
 * Values begin at multiples of their grain: as many are asked for as lie within what is shown, and
 * with them the running one. So the first is never of a time that is forgotten minute by minute.
 */
export function question(selection) {
  const { resource, namespace, metric, aggregation, split, dimension, operator, value } = selection;
  const grain = GRAINS[selection.minutes];
  const filters = selection.filters.map(filterParts).filter(Boolean);
  if (dimension && value) filters.push([dimension, operator, value]);
  const parts = filters.flatMap(([name, how, text]) =>
    [["dimension", name], ["operator", how], ["value", text]]);
  return [
    ...Object.entries({
      resourceId: resource, namespace, metric, aggregation,
      minutes: Number(selection.minutes) - grain + 1,
      interval: `PT${grain}M`,
      top: SERIES + 1,
      orderby: `${aggregation} desc`,
      ...(split && { split }),
    }),
    ...parts,
  ];
}

/** An answer to it: times, series of values with their names, and whether there are more. */
export function series(answer, selection) {
  const found = answer.value[0].timeseries;
  const times = (found[0]?.data ?? []).map((each) => Date.parse(each.timeStamp) / 1000);
  const shown = found.slice(0, SERIES).map((each) => ({
    name: each.metadatavalues.map(({ value }) => value).join(", ") || selection.metric,
    values: each.data.map((one) => one[selection.aggregation] ?? null),
  }));
  return { times, shown, more: found.length > SERIES, interval: answer.interval };
}
