// The page: asks every few seconds for what is chosen, and shows it.

import { draw } from "./chart.js";
import { Refusal, ask, byId, fill, make, number, plural } from "./dom.js";
import { drawRefusals } from "./refused.js";
import { keep, question, read, series, settle } from "./selection.js";

const EVERY = 2000; // Milliseconds.
const TEXT = { average: "Average", minimum: "Minimum", maximum: "Maximum", total: "Sum",
               count: "Count" };
const selection = read();
let turn = 0; // Answers to what is no longer chosen are dropped.
let timer = null;

const CHOSEN = ["resource", "namespace", "metric", "aggregation", "split", "dimension", "operator",
                "value", "minutes"];
// What a choice leaves to be chosen anew.
const BELOW = { resource: ["namespace", "metric"], namespace: ["metric"], dimension: ["value"] };

for (const name of CHOSEN) {
  byId(name).addEventListener(name === "value" ? "input" : "change", ({ target }) => {
    selection[name] = target.value;
    for (const below of BELOW[name] ?? []) selection[below] = "";
    refresh();
  });
}
byId("controls").addEventListener("submit", (event) => event.preventDefault());
byId("live").addEventListener("change", refresh);

const tabs = ["chart", "refused"];

function show(tab, focus = false) {
  selection.tab = tab;
  for (const each of tabs) {
    const chosen = each === tab;
    const button = byId(`tab-${each}`);
    button.setAttribute("aria-selected", String(chosen));
    button.tabIndex = chosen ? 0 : -1;
    byId(`${each}-view`).hidden = !chosen;
    if (chosen && focus) button.focus();
  }
  keep(selection);
}

for (const tab of tabs) {
  byId(`tab-${tab}`).addEventListener("click", () => show(tab));
  byId(`tab-${tab}`).addEventListener("keydown", ({ key }) => {
    if (key === "ArrowLeft" || key === "ArrowRight") {
      show(tabs[(tabs.indexOf(tab) + 1) % tabs.length], true);
    }
    if (key === "Home") show(tabs[0], true);
    if (key === "End") show(tabs.at(-1), true);
  });
}

async function refresh() {
  clearTimeout(timer);
  const mine = (turn += 1);
  try {
    const [catalogue, { refusals }] = await Promise.all([
      ask("/_local/catalogue"), ask("/_local/refusals"),
    ]);
    if (mine !== turn) return;
    const there = settle(selection, catalogue);
    drawControls(catalogue, there);
    drawRefusals(refusals);
    keep(selection);
    await drawResult(there, mine);
    if (mine === turn) trouble("");
  } catch (error) {
    if (mine === turn) trouble(error);
  }
  if (mine === turn && byId("live").checked) timer = setTimeout(refresh, EVERY);
}

function trouble(error) {
  const box = byId("trouble");
  if (error instanceof Refusal) box.textContent = `The emulator refused the query: ${error.message}`;
  else if (error instanceof TypeError && error.message.includes("fetch")) {
    box.textContent = "The emulator does not answer. Start it again, with make run or python -m"
      + " local.monitor on the same port; this page goes on by itself.";
  } else if (error) {
    box.textContent = `The page has a fault: ${error}`;
    console.error(error);
  }
  box.hidden = !error;
}

function drawControls({ resources }, { resource, metrics, metric, namespaces }) {
  const pairs = resources.map(({ resourceId }) => [resourceId, label(resourceId)]);
  withGone(pairs, selection.resource, resource, label(selection.resource));
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
  for (const name of ["aggregation", "operator", "minutes", "value"]) {
    if (byId(name).value !== selection[name]) byId(name).value = selection[name];
  }
  const stored = resources.flatMap((each) => each.metrics);
  const active = stored.reduce((total, each) => total + each.series, 0);
  byId("stored").textContent = `${number(active)} series of `
    + `${plural(stored.length, "metric")}, ${plural(resources.length, "resource")}`;
}

function withGone(pairs, chosen, there, text = chosen) {
  if (chosen && !there) pairs.push([chosen, `${text} (nothing stored)`]);
}

/** "shop-api · Microsoft.Web/sites" */
function label(resourceId) {
  const parts = resourceId.split("/");
  const [provider, ...pairs] = parts.slice(parts.lastIndexOf("providers") + 1);
  const names = pairs.filter((_, index) => index % 2 === 1).join("/");
  const types = pairs.filter((_, index) => index % 2 === 0).join("/");
  return `${names} · ${provider}/${types}`;
}

async function drawResult({ resource, metric }, mine) {
  if (!metric) {
    empty(...(resource || selection.resource ? gone() : nothing()));
    return;
  }
  const [answer, { dimensions }] = await Promise.all([
    ask("/_local/query", question(selection)),
    ask("/_local/dimensions", { resourceId: selection.resource, namespace: selection.namespace,
                                metric: selection.metric }),
  ]);
  if (mine !== turn) return;
  const values = (dimensions[selection.dimension] ?? []).map((value) => make("option", { value }));
  byId("values").replaceChildren(...values);
  const found = series(answer, selection);
  if (!found.shown.length) {
    empty(...noValues());
    return;
  }
  byId("empty").hidden = true;
  byId("result").hidden = false;
  const title = `${TEXT[selection.aggregation]} of ${selection.metric}`
    + (selection.split ? ` by ${selection.split}` : "");
  byId("heading").textContent = title;
  const first = found.more ? ` The ${found.shown.length} greatest are shown: filter for others.` : "";
  byId("note").textContent = `${selection.resource} in ${resource.region}, one value each `
    + `${grain(found.interval)}.${first}`;
  draw(found, title);
}

const grain = (interval) =>
  interval === "PT1M" ? "minute" : `${number(interval.match(/\d+/)[0])} minutes`;

function empty(title, ...content) {
  byId("result").hidden = true;
  const box = byId("empty");
  if (box.dataset.title !== title) box.replaceChildren(make("h2", { text: title }), ...content);
  box.dataset.title = title;
  box.hidden = false;
}

const paragraph = (text) => make("p", { text });

function act(text, changes) {
  const button = make("button", { text, type: "button" });
  button.addEventListener("click", () => {
    Object.assign(selection, changes);
    refresh();
  });
  return button;
}

function nothing() {
  return [
    "Nothing is stored yet",
    paragraph("What is published to this emulator shows up here by itself. With make run, enqueue"
      + " a message; with a publisher of your own, send its posts here:"),
    make("pre", { text: `POST ${location.origin}/westeurope/subscriptions/…/metrics` }),
    paragraph("docs/emulator.md has a curl command to copy, and the settings of Telegraf."),
  ];
}

function gone() {
  return [
    "There is nothing of this metric",
    paragraph("Values are kept for 24 hours, in memory unless the emulator was started with --data."
      + " Names may be misspelled in the address of this page."),
    act("Choose what there is", { resource: "", namespace: "", metric: "" }),
  ];
}

function noValues() {
  const filtered = selection.dimension && selection.value;
  const title = filtered ? "No values pass the filter in this time" : "No values in this time";
  const actions = [];
  if (filtered) actions.push(act("Clear the filter", { dimension: "", value: "" }));
  if (selection.minutes !== "1440") actions.push(act("Show 24 hours", { minutes: "1440" }));
  return [title, paragraph("The metric is known: it had values within the last 24 hours."),
          ...actions];
}

byId("fault-example").textContent =
  `curl -d '{"status": 429, "retryAfter": 5, "next": 1}' ${location.origin}/_local/faults`;
show(selection.tab);
refresh();
