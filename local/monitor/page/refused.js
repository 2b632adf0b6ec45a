// The tabs beside the chart: refused requests and dead letters, with reasons.

import { byId, clock, make, number, plural, utc, zone } from "./dom.js";

const TIME = `Time (${zone()})`;
const shown = {};

export function drawRefusals(refusals) {
  const caption = `${plural(refusals.length, "refused request")}, newest first`;
  drawTable("refused", refusals, caption, [TIME, "Response", "Resource", "Region", "Reason"], row);
}

export function drawDeadLetters({ queue, deadLetters, error }) {
  byId("dead-title").textContent = error ? "Dead letters are not available" : "No dead letters";
  byId("dead-hint").textContent = error ?? (queue
    ? `Metric Relay puts what it cannot publish into the queue ${queue}, with the reason.`
    : "This emulator has no dead-letter queue. Start it with make run, or with --dead-letters.");
  const caption = `${plural(deadLetters.length, "rejection")} in the first messages of the queue`
    + ` ${queue} (at most 32), newest first`;
  drawTable("dead", deadLetters, caption, [TIME, "Reason", "Detail"], ({ time, reason, detail }) =>
    make("tr", {}, moment(time), make("td", {}, make("span", { text: reason, class: "status" })),
         make("td", { text: detail })));
}

function drawTable(name, found, caption, heads, toRow) {
  const count = byId(`${name}-count`);
  count.textContent = number(found.length);
  count.classList.toggle("some", found.length > 0);
  byId(`${name}-empty`).hidden = found.length > 0;
  byId(`${name}-scroll`).hidden = found.length === 0;
  const newest = JSON.stringify([found.length, found[0]]);
  if (newest === shown[name]) return;
  shown[name] = newest;
  const head = make("tr", {}, ...heads.map((text) => make("th", { text, scope: "col" })));
  byId(`${name}-table`).replaceChildren(
    make("caption", { text: caption }),
    make("thead", {}, head),
    make("tbody", {}, ...found.map(toRow)),
  );
}

function moment(text) {
  const time = new Date(text);
  const seconds = String(time.getSeconds()).padStart(2, "0");
  return make("td", { text: `${clock(time)}:${seconds}`, title: utc(time) });
}

function row(refusal) {
  const code = [refusal.status ?? "No response", refusal.code].filter(Boolean).join(" ");
  const name = refusal.resourceId.split("/").slice(-1)[0];
  return make(
    "tr", {},
    moment(refusal.time),
    make("td", {}, make("span", { text: code, class: "status" })),
    make("td", { text: name, title: refusal.resourceId }),
    make("td", { text: refusal.region ?? "" }),
    make("td", { text: reason(refusal) }),
  );
}

function reason({ message, code }) {
  if (code.startsWith("Dropped")) return "An injected fault closed the connection without an answer.";
  if (code === "Fault" && message) return `Injected fault with the body ${message}`;
  if (code === "Fault") return "Injected fault without a body.";
  return message.trim() || "The response has no body.";
}
