// What is said where there is nothing to draw, and what to do next.

import { byId, make } from "./dom.js";

/** Shows one of the states below; choose gets the changes of a button, and the control of them. */
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
  title: "Nothing is stored yet",
  content: [
    paragraph("What is published to this emulator shows up here by itself. With make run, enqueue"
      + " a message; with a publisher of your own, send its posts here:"),
    make("pre", { text: `POST ${location.origin}/westeurope/subscriptions/…/metrics` }),
    paragraph("docs/emulator.md has a curl command to copy, and the settings of Telegraf."),
  ],
});

export const gone = () => ({
  title: "There is nothing of this metric",
  content: [
    paragraph("Values are kept for 24 hours, in memory unless the emulator was started with --data."
      + " Names may be misspelled in the address of this page."),
  ],
  actions: [["Choose what there is", { resource: "", namespace: "", metric: "" }, "resource"]],
});

export function noValues({ dimension, value, minutes, filters }) {
  const filtered = (dimension && value) || filters.length > 0;
  const actions = [];
  if (filtered) actions.push(["Clear the filter", { dimension: "", value: "", filters: [] }, "dimension"]);
  if (minutes !== "1440") actions.push(["Show 24 hours", { minutes: "1440" }, "minutes"]);
  return {
    title: filtered ? "No values pass the filter in this time" : "No values in this time",
    content: [paragraph("The metric is known: it had values within the last 24 hours.")],
    actions,
  };
}
