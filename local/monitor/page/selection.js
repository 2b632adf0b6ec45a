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
const GRAINS = { 15: "PT1M", 30: "PT1M", 60: "PT1M", 180: "PT1M", 720: "PT5M", 1440: "PT15M" };

/** The parameters of the query; one series more than is shown, to know whether there are more. */
export function question(selection) {
  const { dimension, operator, value, split } = selection;
  const asked = {
    resourceId: selection.resource,
    metricnamespace: selection.namespace,
    metricnames: selection.metric.replaceAll(",", "%2"),
    aggregation: selection.aggregation,
    minutes: selection.minutes,
    interval: GRAINS[selection.minutes],
  };
  const terms = [];
  if (split) terms.push(term(split, "eq", "*"));
  if (dimension && value) {
    if (dimension === split && operator !== "ne") terms.length = 0;
    terms.push(term(dimension, operator, value));
    if (dimension !== split) asked.rollupby = dimension;
  }
  if (terms.length) {
    asked.$filter = terms.join(" and ");
    asked.top = SERIES + 1;
    asked.orderby = `${selection.aggregation} desc`;
  }
  return asked;
}

const term = (name, operator, value) => {
  const plain = (text) => text.replaceAll("(", "%28").replaceAll(")", "%29");
  return `${plain(name)} ${operator} '${plain(value.replaceAll("'", "''"))}'`;
};

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
