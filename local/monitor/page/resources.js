// What resources are called where they are chosen.

/** Names of resource IDs: "shop-api · Microsoft.Web/sites".
 *
 * Where two are alike, their group tells them apart; then, their subscription does.
 */
export function labelsOf(ids) {
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
  const [provider, ...pairs] = parts.slice(parts.lastIndexOf("providers") + 1);
  const names = pairs.filter((_, index) => index % 2 === 1).join("/");
  const types = pairs.filter((_, index) => index % 2 === 0).join("/");
  return `${names} · ${provider}/${types}`;
}

function after(id, part) {
  const parts = id.split("/");
  const place = parts.findIndex((each) => each.toLowerCase() === part.toLowerCase());
  return place < 0 ? "no group" : parts[place + 1];
}
