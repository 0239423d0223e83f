// @ts-check
// Keys: off in fields, while a dialog is open, and by one switch (WCAG 2.1.4). Nothing is logged.
import { signal } from "./lib.js";
import { asOf, go, href, route, setQuery } from "./router.js";
import { keepSetting, setting } from "./store.js";
import { nextTheme } from "./theme.js";
import { PAGES } from "./pages/index.js";

export const HELP = [
  ["?", "this help"], [`g then ${PAGES.map(({ key }) => key).join(" ")}`, PAGES.map(({ name }) => name).join(", ")], ["Ctrl K", "whois, go to, commands"],
  ["/", "filter"], ["j k ↓ ↑", "next and previous row"], ["Enter", "open the row"], ["x", "mark the row"], ["r", "release the row or the marked rows"],
  ["y", "copy the row's id"], ["[ ]", "one event back or on in time"], ["n", "back to now"], ["t", "light, dark, as the system"], ["Esc", "close, or back to now"],
];

export const keysOn = signal(true);
/** Which dialog of the shell is open: "help", "find", or null. @type {import("./lib.js").Sig<"help" | "find" | null>} */
export const shellDialog = signal(null);

/** @param {boolean} on */
export function setKeys(on) {
  keysOn.value = on;
  keepSetting("keys", on);
}

/** What the time bar does for `[` and `]`. @type {{step: (by: number) => void}} */
export const timeSteps = { step: () => {} };

let pending = "";
let pendingTimer = 0;

const rows = () => /** @type {HTMLElement[]} */ ([...document.querySelectorAll("main tbody tr[data-key], main li[data-key]")]);
const current = () => /** @type {HTMLElement | null} */ (document.activeElement?.closest("tr[data-key], li[data-key]"));

/** @param {number} by */
function move(by) {
  const all = rows();
  if (!all.length) return;
  const at = current() ? all.indexOf(/** @type {HTMLElement} */ (current())) : -1;
  const next = all[Math.min(all.length - 1, Math.max(0, at + by))];
  next.tabIndex = -1;
  next.focus();
  next.scrollIntoView({ block: "nearest" });
}

/** Presses a control of the row that has the focus. @param {string} selector */
function press(selector) {
  const found = /** @type {HTMLElement | null} */ (current()?.querySelector(selector) ?? null);
  found?.click();
  return Boolean(found);
}

function release() {
  const marked = /** @type {HTMLElement | null} */ (document.querySelector("main [data-do=release-marked]"));
  if (marked) marked.click();
  else press("[data-do=release]");
}

function copyId() {
  const id = current()?.dataset.copy ?? current()?.querySelector("code")?.getAttribute("title");
  if (id) navigator.clipboard?.writeText(id).catch(() => {});
}

const ACTIONS = /** @type {Record<string, () => void>} */ ({
  "?": () => { shellDialog.value = "help"; },
  "/": () => { /** @type {HTMLElement | null} */ (document.querySelector("main [data-filter]"))?.focus(); },
  j: () => move(1), ArrowDown: () => move(1), k: () => move(-1), ArrowUp: () => move(-1),
  x: () => { press("input[type=checkbox]"); },
  r: release, y: copyId,
  "[": () => timeSteps.step(-1), "]": () => timeSteps.step(1),
  n: () => setQuery({ as_of: null }), t: nextTheme,
});

/** @param {KeyboardEvent} event */
function pressed(event) {
  const target = /** @type {HTMLElement} */ (event.target);
  if ((event.ctrlKey || event.metaKey) && !event.altKey && event.key.toLowerCase() === "k") {
    event.preventDefault();
    shellDialog.value = "find";
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (target.closest("input:not([type=checkbox]), textarea, select, [contenteditable]")) return;
  if (event.key === "Escape") { if (asOf.value) setQuery({ as_of: null }); return; }
  if (!keysOn.value) return;
  if (event.key === "Enter") {
    if (target.matches("tr[data-key], li[data-key]") && press("a[href]")) event.preventDefault();
    return;
  }
  if (event.key.startsWith("Arrow") && !current()) return;
  if (pending) {
    const place = PAGES.find(({ key }) => key === event.key);
    pending = "";
    if (place) { event.preventDefault(); go(href("/" + place.path)); }
    return;
  }
  if (event.key === "g") {
    pending = "g";
    clearTimeout(pendingTimer);
    pendingTimer = setTimeout(() => { pending = ""; }, 1500);
    return;
  }
  const action = ACTIONS[event.key];
  if (action) { event.preventDefault(); action(); }
}

export function startKeys() {
  keysOn.value = setting("keys", true);
  document.addEventListener("keydown", pressed);
}

// A new page begins at its heading for people who hear it.
let shown = route.peek().path;
route.subscribe((next) => {
  if (next.path === shown) return;
  shown = next.path;
  scrollTo(0, 0);
  setTimeout(() => /** @type {HTMLElement | null} */ (document.querySelector("main"))?.focus({ preventScroll: true }), 0);
});
