// The second tab: what the ingestion endpoint did not accept, and why.

import { byId, clock, make, number, plural, utc, zone } from "./dom.js";

const HEADS = [`Time (${zone()})`, "Answer", "Resource", "Region", "Reason"];
let shown = null;

export function drawRefusals(refusals) {
  const count = byId("refused-count");
  count.textContent = number(refusals.length);
  count.classList.toggle("some", refusals.length > 0);
  byId("refused-empty").hidden = refusals.length > 0;
  byId("refused-scroll").hidden = refusals.length === 0;
  const newest = JSON.stringify([refusals.length, refusals[0]]);
  if (newest === shown) return;
  shown = newest;
  const head = make("tr", {}, ...HEADS.map((text) => make("th", { text, scope: "col" })));
  byId("refused-table").replaceChildren(
    make("caption", { text: `${plural(refusals.length, "refused request")}, newest first` }),
    make("thead", {}, head),
    make("tbody", {}, ...refusals.map(row)),
  );
}

function row(refusal) {
  const moment = new Date(refusal.time);
  const seconds = String(moment.getSeconds()).padStart(2, "0");
  const code = [refusal.status ?? "no answer", refusal.code].filter(Boolean).join(" ");
  const name = refusal.resourceId.split("/").slice(-1)[0];
  return make(
    "tr", {},
    make("td", { text: `${clock(moment)}:${seconds}`, title: utc(moment) }),
    make("td", {}, make("span", { text: code, class: "status" })),
    make("td", { text: name || "–", title: refusal.resourceId }),
    make("td", { text: refusal.region || "–" }),
    make("td", { text: reason(refusal) }),
  );
}

function reason({ message, code }) {
  if (code.startsWith("Dropped")) return "A fault closed the connection without an answer.";
  if (code === "Fault" && message) return `A fault that was ordered, with the body ${message}`;
  if (code === "Fault") return "A fault that was ordered, without a body.";
  return message.trim() || "The answer had no body.";
}
