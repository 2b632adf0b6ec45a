// The page: asks for the selected values every 2 seconds, and shows them.

import { draw } from "./chart.js";
import { Away, Refusal, align, ask, byId, fill, make, number, plural, put, zone } from "./dom.js";
import { empty, gone, noValues, nothing } from "./empty.js";
import { drawDeadLetters, drawRefusals } from "./refused.js";
import { CHOICES, filterParts, filterText, keep, question, read, series, settle }
  from "./selection.js";

const EVERY = 2000; // Milliseconds.
const TYPING = 250; // Milliseconds from the last key to the query.
const selection = read();
let turn = 0; // Answers of earlier turns are dropped: the selection changed.
let timer = null;
let push = false; // Whether the selection is to be an entry of the browser's history.

const GONE = " (no data)";
const CHOSEN = ["resource", "namespace", "metric", "aggregation", "split", "dimension", "operator",
                "minutes"];
// What a choice resets.
const BELOW = { resource: ["namespace", "metric"], namespace: ["metric"], dimension: ["value"] };
const tabs = CHOICES.tab;

for (const name of CHOSEN) {
  byId(name).addEventListener("change", ({ target }) => {
    selection[name] = target.value;
    for (const below of BELOW[name] ?? []) selection[below] = "";
    push = true;
    refresh();
  });
}
byId("value").addEventListener("input", ({ target }) => {
  selection.value = target.value;
  turn += 1;
  clearTimeout(timer);
  timer = setTimeout(refresh, TYPING);
});
byId("controls").addEventListener("submit", (event) => {
  event.preventDefault();
  refresh();
});
byId("live").addEventListener("change", refresh);
byId("add").addEventListener("click", () => {
  const { dimension, operator, value } = selection;
  const text = filterText(dimension, operator, value);
  if (!selection.filters.includes(text)) selection.filters.push(text);
  choose({ dimension: "", operator: "eq", value: "" }, "dimension");
});
addEventListener("popstate", () => {
  Object.assign(selection, read());
  push = false;
  show(selection.tab);
  refresh();
});

function show(tab) {
  selection.tab = tab;
  for (const each of tabs) {
    const chosen = each === tab;
    byId(`tab-${each}`).setAttribute("aria-selected", String(chosen));
    byId(`tab-${each}`).tabIndex = chosen ? 0 : -1;
    byId(`${each}-view`).hidden = !chosen;
  }
}

function chooseTab(tab) {
  show(tab);
  byId(`tab-${tab}`).focus();
  keep(selection, true);
}

tabs.forEach((tab, place) => {
  byId(`tab-${tab}`).addEventListener("click", () => chooseTab(tab));
  byId(`tab-${tab}`).addEventListener("keydown", ({ key }) => {
    const next = { ArrowLeft: place - 1, ArrowRight: place + 1, Home: 0, End: -1 }[key];
    if (next !== undefined) chooseTab(tabs.at(next % tabs.length));
  });
});

async function refresh() {
  clearTimeout(timer);
  const mine = (turn += 1);
  byId("page").ariaBusy = "true";
  try {
    const [catalogue, { refusals }, deadLetters] = await Promise.all([
      ask("/_local/catalogue"), ask("/_local/refusals"), ask("/_local/dead_letters"),
    ]);
    if (mine !== turn) return;
    const there = settle(selection, catalogue);
    drawControls(catalogue, there);
    drawRefusals(refusals);
    drawDeadLetters(deadLetters);
    keep(selection, push);
    push = false;
    await drawResult(there, mine);
    if (mine === turn) trouble("");
  } catch (error) {
    if (mine === turn) trouble(error);
  }
  if (mine !== turn) return;
  byId("page").ariaBusy = "false";
  if (byId("live").checked) timer = setTimeout(refresh, EVERY);
}

function trouble(error) {
  const box = byId("trouble");
  if (error instanceof Refusal) put(box, `The emulator refused the query: ${error.message}`);
  else if (error instanceof Away) {
    put(box, "The emulator does not respond. Start it again on the same port, with make run"
      + ` PORT=${location.port} or python -m local.monitor --port ${location.port}: this page then`
      + " continues.");
  } else if (error) {
    put(box, `Unexpected error in this page: ${error}`);
    console.error(error);
  }
  box.hidden = !error;
}

function drawControls({ resources }, { resource, metrics, metric, namespaces }) {
  const ids = resources.map(({ resourceId }) => resourceId);
  const pairs = labelsOf(ids).map((text, index) => [ids[index], text]);
  withGone(pairs, selection.resource, resource);
  fill(byId("resource"), pairs, selection.resource);
  byId("resource").title = selection.resource;
  const names = namespaces.map((name) => [name, name]);
  withGone(names, selection.namespace, namespaces.includes(selection.namespace));
  fill(byId("namespace"), names, selection.namespace);
  const found = metrics.map((each) => [each.metric, each.metric]);
  withGone(found, selection.metric, metric);
  fill(byId("metric"), found, selection.metric);
  const dimensions = (metric?.dimensions ?? []).map((name) => [name, name]);
  fill(byId("split"), [["", "no split"], ...dimensions], selection.split);
  fill(byId("dimension"), [["", "no filter"], ...dimensions], selection.dimension);
  for (const name of ["operator", "value"]) byId(name).disabled = !selection.dimension;
  byId("add").hidden = !(selection.dimension && selection.value);
  align(byId("filters"), selection.filters, filterItem);
  for (const name of ["aggregation", "operator", "minutes", "value"]) {
    if (byId(name).value !== selection[name]) byId(name).value = selection[name];
  }
  const stored = resources.flatMap((each) => each.metrics);
  const active = stored.reduce((total, each) => total + each.series, 0);
  put(byId("stored"), `${number(active)} series of ${plural(stored.length, "metric")}, `
    + plural(resources.length, "resource"));
}

/** Labels of resource IDs: "shop-api · Microsoft.Web/sites"; with the resource group if two of them
 * are the same, and with the subscription if two still are. */
function labelsOf(ids) {
  let labels = ids.map(label);
  for (const part of ["resourceGroups", "subscriptions"]) {
    const twice = labels.map((each) => labels.indexOf(each) !== labels.lastIndexOf(each));
    labels = labels.map((each, index) =>
      twice[index] ? `${each} · ${after(ids[index], part)}` : each);
  }
  return labels;
}

function label(id) {
  const parts = id.split("/");
  const [provider, ...pairs] = parts.slice(parts.lastIndexOf("providers", -4) + 1);
  const names = pairs.filter((_, index) => index % 2 === 1).join("/");
  const types = pairs.filter((_, index) => index % 2 === 0).join("/");
  return `${names} · ${provider}/${types}`;
}

function after(id, part) {
  const parts = id.split("/");
  const place = parts.findIndex((each) => each.toLowerCase() === part.toLowerCase());
  return place < 0 ? "none" : parts[place + 1];
}

function filterItem(text) {
  const [dimension, operator, value] = filterParts(text);
  const words = `${dimension} ${optionText("operator", operator)} ${value}`;
  const button = make("button", { type: "button", text: `${words} ✕`,
                                  "aria-label": `Remove the filter ${words}` });
  button.addEventListener("click", () => {
    choose({ filters: selection.filters.filter((each) => each !== text) }, "dimension");
  });
  return make("li", {}, button);
}

const optionText = (name, value) =>
  [...byId(name).options].find((option) => option.value === value).text;

function withGone(pairs, chosen, there) {
  if (chosen && !there) pairs.push([chosen, chosen + GONE]);
}

async function drawResult({ resource, metric }, mine) {
  if (!metric) {
    empty(resource || selection.resource ? gone() : nothing(), choose);
    return;
  }
  const [answer, { dimensions }] = await Promise.all([
    ask("/_local/query", question(selection)),
    ask("/_local/dimensions", { resourceId: selection.resource, namespace: selection.namespace,
                                metric: selection.metric }),
  ]);
  if (mine !== turn) return;
  const values = dimensions[selection.dimension] ?? [];
  align(byId("values"), values, (value) => make("option", { value }));
  const found = series(answer, selection);
  if (!found.shown.length) {
    empty(noValues(selection), choose);
    return;
  }
  byId("empty").hidden = true;
  byId("result").hidden = false;
  const aggregation = optionText("aggregation", selection.aggregation);
  const title = `${aggregation} of ${selection.metric}`
    + (selection.split ? ` by ${selection.split}` : "");
  put(byId("heading"), title);
  const more = found.more ? `The ${found.shown.length} series with the highest`
    + ` ${aggregation.toLowerCase()} are shown; filter to see others. ` : "";
  put(byId("note"), `${more}One value per ${grain(found.interval)}, times in ${zone()}. `
    + `Region: ${resource.region}.\n${selection.resource}`);
  const { resource: id, namespace, split } = selection;
  draw(found, title, JSON.stringify([id, namespace, selection.metric, split]),
       { split, values: dimensions[split] ?? [] });
}

const grain = (interval) =>
  interval === "PT1M" ? "minute" : `${interval.match(/\d+/)[0]} minutes`;

function choose(changes, control) {
  push = true;
  Object.assign(selection, changes);
  byId(control).focus(); // The button disappears.
  refresh();
}

byId("fault-example").textContent =
  `curl -d '{"status": 429, "retryAfter": 5, "next": 1}' ${location.origin}/_local/faults`;
show(selection.tab);
refresh();
