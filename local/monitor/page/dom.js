// Helpers: elements, requests to the server, numbers, times.

export const byId = (id) => document.getElementById(id);

/** An element with text, attributes and children. */
export function make(tag, { text, ...attributes } = {}, ...children) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Sets a text unless it is there already: a selection stays, and a screen reader is silent. */
export function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Gives an element one child for each key; a child that exists stays, with its focus. */
export function align(parent, keys, create) {
  const there = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  const wanted = new Set(keys.map((key) => there.get(key) ?? create(key)));
  for (const child of there.values()) if (!wanted.has(child)) child.remove();
  [...wanted].forEach((child, place) => {
    child.dataset.key = keys[place];
    const now = parent.children[place];
    if (now !== child) parent.insertBefore(child, now ?? null);
  });
}

/** Fills a select with [value, text] pairs. */
export function fill(select, pairs, chosen) {
  align(select, pairs.map(([value]) => value), (value) => make("option", { value }));
  pairs.forEach(([, text], place) => put(select.options[place], text));
  if (select.value !== chosen) select.value = chosen;
  select.disabled = pairs.length < 1;
}

/** Returns the JSON of a GET; throws Away, or Refusal with the reason. */
export async function ask(path, parameters = {}) {
  const answer = await fetch(`${path}?${new URLSearchParams(parameters)}`).catch((error) => {
    throw new Away(error.message); // Each browser has a message of its own.
  });
  const content = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refusal(content.error?.message ?? `status ${answer.status}`);
  return content;
}

export class Away extends Error {}
export class Refusal extends Error {}

const plain = new Intl.NumberFormat("en", { maximumFractionDigits: 3 });
const small = new Intl.NumberFormat("en", { maximumSignificantDigits: 4 });
const scientific = new Intl.NumberFormat("en", {
  notation: "scientific", maximumSignificantDigits: 4,
});
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 2 });

function written(value, large) {
  const size = Math.abs(value);
  const format = size >= 1e15 || (size && size < 1e-6) ? scientific : size < 1 ? small : large;
  return format.format(value + 0); // No -0.
}

export const number = (value) => (value == null ? "–" : written(value, plain));
const compact = (value) => written(value, Math.abs(value) < 10_000 ? plain : short);

/** Numbers in the shortest form in which no two are the same: 12M; 12,345,678; 1.00002. */
export function labels(values) {
  const ways = [compact, number, String].map((way) => values.map(way));
  return ways.find((texts) => new Set(texts).size === texts.length) ?? ways.at(-1);
}

const time = (moment) =>
  moment.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
const day = (moment) => moment.toLocaleDateString("en-GB", { day: "numeric", month: "short" });

/** 14:05, or 23 Nov 14:05 if that is not today. */
export const clock = (moment) =>
  moment.toDateString() === new Date().toDateString()
    ? time(moment) : `${day(moment)} ${time(moment)}`;

/** The label of a tick of the time axis: 14:05; 24 Nov at midnight; nothing within a minute. */
export function tickLabel(moment) {
  if (moment % 60_000) return "";
  return time(moment) === "00:00" ? day(moment) : time(moment);
}

/** The time zone of the browser: CET, GMT-5. */
export const zone = () =>
  new Intl.DateTimeFormat("en-GB", { timeZoneName: "short" }).formatToParts()
    .find(({ type }) => type === "timeZoneName").value;

/** 2026-11-23 14:05:00 UTC */
export const utc = (moment) => moment.toISOString().replace("T", " ").replace(/\.\d+Z/, " UTC");

export const plural = (count, noun) => `${number(count)} ${noun}${count === 1 ? "" : "s"}`;
