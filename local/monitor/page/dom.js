// Small helpers: elements, questions to the server, numbers.

export const byId = (id) => document.getElementById(id);

/** An element with text, attributes and children. */
export function make(tag, { text, ...attributes } = {}, ...children) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Fills a select with [value, text] pairs, and touches nothing if they are there already. */
export function fill(select, pairs, chosen) {
  const wanted = JSON.stringify(pairs);
  if (select.dataset.options !== wanted) {
    select.replaceChildren(...pairs.map(([value, text]) => make("option", { value, text })));
    select.dataset.options = wanted;
  }
  select.value = chosen;
  select.disabled = pairs.length < 1;
}

/** The JSON of a GET; what the server refuses is thrown with its reason. */
export async function ask(path, parameters = {}) {
  const answer = await fetch(`${path}?${new URLSearchParams(parameters)}`);
  const content = await answer.json();
  if (!answer.ok) throw new Refusal(content.error?.message ?? `status ${answer.status}`);
  return content;
}

export class Refusal extends Error {}

const plain = new Intl.NumberFormat("en", { maximumFractionDigits: 3 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 2 });

export const number = (value) => (value == null ? "–" : plain.format(value));
export const compact = (value) =>
  value == null ? "" : Math.abs(value) < 10_000 ? plain.format(value) : short.format(value);

/** 14:05, or with the date where it is another day. */
export function clock(moment) {
  const time = moment.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
  if (moment.toDateString() === new Date().toDateString()) return time;
  return `${moment.toLocaleDateString("en-GB", { day: "numeric", month: "short" })} ${time}`;
}

export const plural = (count, noun) => `${number(count)} ${noun}${count === 1 ? "" : "s"}`;
