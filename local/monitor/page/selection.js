// What is chosen: kept in the URL, and made to fit what there is.

const DEFAULTS = {
  resource: "", namespace: "", metric: "", aggregation: "average", split: "",
  dimension: "", operator: "eq", value: "", minutes: "60", tab: "chart",
};
const CHOICES = {
  aggregation: ["average", "minimum", "maximum", "total", "count"],
  operator: ["eq", "ne", "sw"],
  minutes: ["15", "30", "60", "180", "720", "1440"],
  tab: ["chart", "refused"],
};

export function read() {
  const given = new URLSearchParams(location.search);
  const selection = { ...DEFAULTS };
  for (const name of Object.keys(DEFAULTS)) {
    const value = given.get(name);
    if (value !== null && (!CHOICES[name] || CHOICES[name].includes(value))) {
      selection[name] = value;
    }
  }
  return selection;
}

export function keep(selection) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(selection)) {
    if (value !== DEFAULTS[name]) query.set(name, value);
  }
  const text = query.toString();
  history.replaceState(null, "", text ? `?${text}` : location.pathname);
}

const same = (one, other) => one.toLowerCase() === other.toLowerCase();

/** The resource, the metrics of its namespace, and the metric that are chosen, where they exist.
 *
 * What is not chosen yet becomes the first there is; what was, and is gone, stays chosen.
 */
export function settle(selection, catalogue) {
  const { resources } = catalogue;
  if (!selection.resource && resources.length) selection.resource = resources[0].resourceId;
  const resource = resources.find((each) => same(each.resourceId, selection.resource));
  const all = resource?.metrics ?? [];
  if (!selection.namespace && all.length) selection.namespace = all[0].namespace;
  const metrics = all.filter((each) => same(each.namespace, selection.namespace));
  if (!selection.metric && metrics.length) selection.metric = metrics[0].metric;
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
  return {
    resourceId: resource, namespace, metric, aggregation,
    minutes: Number(selection.minutes) - grain + 1,
    interval: `PT${grain}M`,
    top: SERIES + 1,
    orderby: `${aggregation} desc`,
    ...(split && { split }),
    ...(dimension && value && { dimension, operator, value }),
  };
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
