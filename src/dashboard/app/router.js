// @ts-check
// Hash routes. All state of a page is in the address: filters, sort, tab, page, as_of. Links and controls build the same address.
import { signal, computed } from "./lib.js";

/**
 * @typedef {{path: string, parts: string[], query: Record<string, string>}} Route
 * `parts` are the decoded segments (`#/plugins/a%2Fb` → ["plugins", "a/b"]); `query` has the parameters behind `?`.
 */

/** @param {string} hash @returns {Route} */
export function parse(hash) {
  const [path, search = ""] = hash.replace(/^#/, "").split(/\?(.*)/s);
  const parts = path.split("/").filter(Boolean).map((part) => {
    try { return decodeURIComponent(part); } catch { return part; }
  });
  return { path: "/" + parts.map(encodeURIComponent).join("/"), parts, query: Object.fromEntries(new URLSearchParams(search)) };
}

/** @type {import("./lib.js").Sig<Route>} */
export const route = signal(parse(location.hash));
/** The revision or time that every page looks at, or null for now. */
export const asOf = computed(() => route.value.query.as_of || null);

addEventListener("hashchange", () => { route.value = parse(location.hash); });

/** @param {Record<string, any>} query */
function text(query) {
  const params = new URLSearchParams();
  for (const key of Object.keys(query).sort()) {
    const value = query[key];
    if (value === null || value === undefined || value === "" || value === false) continue;
    params.set(key, Array.isArray(value) ? [...new Set(value)].join(",") : String(value));
  }
  const all = params.toString();
  return all ? "?" + all : "";
}

/**
 * The address of a page. `as_of` of the present page is kept unless `query` names it.
 * @param {string} path such as `/plugins` (its segments are encoded already, see `pluginPath`)
 * @param {Record<string, any>} [query] null and "" leave a parameter out
 */
export function href(path, query = {}) {
  return "#" + path + text({ as_of: asOf.value, ...query });
}

/** @param {string} id @param {Record<string, any>} [query] the address of a plugin's page */
export function pluginHref(id, query) {
  return href("/plugins/" + encodeURIComponent(id), query);
}

/** @param {string} address from `href` @param {boolean} [replace] without a new entry in the history */
export function go(address, replace = false) {
  if (replace) {
    history.replaceState(null, "", address);
    route.value = parse(address);
  } else {
    location.hash = address;
  }
}

/** Changes some parameters of the present page. @param {Record<string, any>} changes @param {boolean} [replace] */
export function setQuery(changes, replace = false) {
  const next = "#" + route.value.path + text({ ...route.value.query, ...changes });
  go(next, replace);
}

/** The address of the present page with some parameters changed, for links. @param {Record<string, any>} changes */
export function here(changes) {
  return "#" + route.value.path + text({ ...route.value.query, ...changes });
}
