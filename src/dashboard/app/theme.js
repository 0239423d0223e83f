// @ts-check
// Light, dark, or as the system says.
import { signal } from "./lib.js";
import { keepSetting, setting } from "./store.js";

/** @typedef {"auto" | "light" | "dark"} Theme */
/** @type {import("./lib.js").Sig<Theme>} */
export const theme = signal("auto");

/** @param {Theme} next */
export function setTheme(next) {
  theme.value = next;
  keepSetting("theme", next);
  document.documentElement.dataset.theme = next;
}

export function startTheme() {
  setTheme(setting("theme", /** @type {Theme} */ ("auto")));
}

export function nextTheme() {
  setTheme(theme.value === "auto" ? "dark" : theme.value === "dark" ? "light" : "auto");
}
