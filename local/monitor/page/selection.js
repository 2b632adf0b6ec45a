// The selection: kept in the URL, and matched to what is stored.

const DEFAULTS = {
  resource: "", namespace: "", metric: "", aggregation: "average", split: "",
  dimension: "", operator: "eq", value: "", minutes: "60", tab: "chart",
};
const OWN = "MetricRelay"; // The namespace of the relay's metrics on itself.
export const CHOICES = {
  aggregation: ["average", "minimum", "maximum", "total", "count"],
  operator: ["eq", "ne", "sw"],
  minutes: ["15", "30", "60", "180", "720", "1440"],
  tab: ["chart", "refused", "dead"],
};

export function read() {
  const given = new URLSearchParams(location.search);
  const selection = { ...DEFAULTS, filters: given.getAll("filter").filter(filterParts) };
  for (const name of Object.keys(DEFAULTS)) {
    const value = given.get(name);
    if (value !== null && (!CHOICES[name] || CHOICES[name].includes(value))) {
      selection[name] = value;
    }
  }
  return selection;
}

/** Puts the selection into the address; with `push`, the browser's Back returns to the last one. */
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

/** The parts of such a text; null if it is not valid. */
export function filterParts(text) {
  try {
    const parts = JSON.parse(text);
    const valid = parts.length === 3 && parts.every((part) => typeof part === "string")
      && CHOICES.operator.includes(parts[1]);
    return valid ? parts : null;
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

let guessed = ""; // The relay's own metric that is shown because there is no other.

/** Returns the chosen resource, the metrics of its namespace, and the metric, as far as they exist.
 *
 * An open choice becomes what a producer published last. A choice that no longer exists stays, but
 * dimensions that the metric does not have are dropped: the query would be refused.
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
    const known = (name) => metric.dimensions.find((each) => same(each, name));
    for (const name of ["split", "dimension"]) selection[name] = known(selection[name]) ?? "";
    selection.filters = selection.filters.filter((text) => known(filterParts(text)[0]));
  }
  if (open && metric?.namespace === OWN) {
    guessed = JSON.stringify([selection.resource, selection.namespace, selection.metric]);
  }
  return { resource, metrics, metric, namespaces: [...new Set(all.map((each) => each.namespace))] };
}

const SERIES = 10; // Of a split; as many colours are easy to distinguish.
// Minutes of one value, by the minutes of the time range.
const GRAINS = { 15: 1, 30: 1, 60: 1, 180: 1, 720: 5, 1440: 15 };

/** The parameters of the query; one series more than is shown, to know whether there are more.
 *
 * Values begin at multiples of their grain. The query asks for those that begin within the time
 * range, with the running one: the emulator still has all minutes of the first.
 */
export function question(selection) {
  const { resource, namespace, metric, aggregation, split, dimension, operator, value } = selection;
  const grain = GRAINS[selection.minutes];
  const filters = selection.filters.map(filterParts);
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

/** Reads the answer: times, series of values with their names, and whether there are more. */
export function series(answer, selection) {
  const found = answer.value[0].timeseries;
  const times = (found[0]?.data ?? []).map((each) => Date.parse(each.timeStamp) / 1000);
  const shown = found.slice(0, SERIES).map((each) => ({
    name: each.metadatavalues.map(({ value }) => value).join(", ") || selection.metric,
    values: each.data.map((one) => one[selection.aggregation] ?? null),
  }));
  const { interval } = answer;
  return { times, shown, more: found.length > SERIES, interval, minutes: selection.minutes };
}
