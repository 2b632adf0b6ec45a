// What the page shows if there are no values, and what to do next.

import { byId, make } from "./dom.js";

/** Shows one of the states below; a button calls choose with its changes and their control. */
export function empty({ title, content = [], actions = [] }, choose) {
  byId("result").hidden = true;
  const box = byId("empty");
  const key = JSON.stringify([title, actions]);
  if (box.dataset.shown !== key) {
    const buttons = actions.map(([text, changes, control]) => {
      const button = make("button", { text, type: "button" });
      button.addEventListener("click", () => choose(changes, control));
      return button;
    });
    box.replaceChildren(make("h2", { text: title }), ...content, ...buttons);
    box.dataset.shown = key;
  }
  box.hidden = false;
}

const paragraph = (text) => make("p", { text });

export const nothing = () => ({
  title: "No metrics yet",
  content: [
    paragraph("Values appear here when a publisher sends them. With make run, enqueue a message;"
      + " with your own publisher, send requests to:"),
    make("pre", { text: `POST ${location.origin}/westeurope/subscriptions/…/metrics` }),
    paragraph("For a curl command and the settings of Telegraf, see docs/emulator.md."),
  ],
});

export const gone = () => ({
  title: "No data for this metric",
  content: [
    paragraph("The emulator keeps values for 24 hours, in memory unless you start it with --data."
      + " If you typed the address of this page, check the names in it."),
  ],
  actions: [["Show the newest metric", { resource: "", namespace: "", metric: "" }, "resource"]],
});

export function noValues({ dimension, value, minutes, filters }) {
  const filtered = (dimension && value) || filters.length > 0;
  const actions = [];
  if (filtered) actions.push(["Clear filters", { dimension: "", value: "", filters: [] }, "dimension"]);
  if (minutes !== "1440") actions.push(["Show the last 24 hours", { minutes: "1440" }, "minutes"]);
  return {
    title: `No values${filtered ? " match the filters" : ""} in this time range`,
    content: [paragraph("This metric had values in the last 24 hours.")],
    actions,
  };
}
