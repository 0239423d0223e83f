// @ts-check
// The list of pages: the navigation, the keys, the titles and the router follow from it. All but the first are loaded when they are first opened.

/**
 * @typedef {{path: string, key: string, sign: string, name: string, past?: boolean, load: () => Promise<{default: any}>}} Page
 * `path`: the first segment of the route; `key`: what follows `g`; `past`: the page shows the past with `as_of`.
 */

/** @type {Page[]} */
export const PAGES = [
  { path: "", key: "n", sign: "◎", name: "Now", past: true, load: () => import("./now.js") },
  { path: "resources", key: "r", sign: "▤", name: "Holdings", past: true, load: () => import("./resources.js") },
  { path: "plugins", key: "p", sign: "⬡", name: "Plugins", past: true, load: () => import("./plugins.js") },
  { path: "hosts", key: "h", sign: "▦", name: "Hosts", load: () => import("./hosts.js") },
  { path: "costs", key: "c", sign: "$", name: "Costs", past: true, load: () => import("./costs.js") },
  { path: "events", key: "e", sign: "≋", name: "Events", past: true, load: () => import("./events.js") },
  { path: "leases", key: "l", sign: "◷", name: "Leases", load: () => import("./leases.js") },
  { path: "admin", key: "a", sign: "⚙", name: "Admin", load: () => import("./admin.js") },
];

/** A plugin's own page, which the list of plugins leads to. */
const PLUGIN = { name: "", load: () => import("./plugin.js") };

/** The page of a route; undefined if there is none. @param {string[]} parts */
export function pageOf([first = "", second]) {
  if (first === "plugins" && second) return { ...PLUGIN, id: "plugin", name: second };
  const page = PAGES.find((one) => one.path === first);
  return page && !second ? { ...page, id: page.path } : undefined;
}
