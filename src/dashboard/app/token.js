// @ts-check
// Where the token is kept: in memory and sessionStorage; in localStorage only after "remember". Never in a URL that is sent.
import { signal } from "./lib.js";

const KEY = "plugin-registry.token";

/** @type {import("./lib.js").Sig<string | null>} */
const token = signal(null);
/** Whether there is a token, for what is drawn. */
export const hasToken = () => token.value !== null;
/** @type {Set<() => void>} */
const watchers = new Set();

/** @param {() => Storage} which @param {string | null} value */
function keep(which, value) {
  try {
    if (value === null) which().removeItem(KEY);
    else which().setItem(KEY, value);
  } catch { /* A browser may refuse storage; the token then lives as long as the page. */ }
}

function stored() {
  try {
    return sessionStorage.getItem(KEY) ?? localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

/** Takes a token from `#token=…` and removes it from the address at once; else the one that was kept. */
export function startToken() {
  const given = /^#token=([^&]+)/.exec(location.hash);
  if (given) {
    history.replaceState(null, "", location.pathname + location.search + "#/");
    setToken(decodeURIComponent(given[1]), false);
    dispatchEvent(new HashChangeEvent("hashchange"));
  } else if (token.value === null) {
    token.value = stored();
  }
}

/** @returns {string | null} */
export function getToken() {
  return token.peek();
}

/** @param {string} value @param {boolean} remember */
export function setToken(value, remember) {
  token.value = value.trim() || null;
  keep(() => sessionStorage, token.value);
  keep(() => localStorage, remember ? token.value : null);
  for (const watcher of watchers) watcher();
}

export function forgetToken() {
  token.value = null;
  keep(() => sessionStorage, null);
  keep(() => localStorage, null);
  for (const watcher of watchers) watcher();
}

/** The public part of the token, or "none": names the shared stream without giving the secret away. */
export function tokenName() {
  return /^plr_([0-9a-f]+)_/.exec(token.peek() ?? "")?.[1] ?? (token.peek() ? "other" : "none");
}

/** @param {() => void} watcher */
export function onToken(watcher) {
  watchers.add(watcher);
}
