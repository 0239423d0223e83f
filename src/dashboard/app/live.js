// @ts-check
// The live stream as the pages see it: a connection state, and batches of events at most four times a second.
import { signal, batch } from "./lib.js";
import { base, loginNeeded } from "./api.js";
import { getToken, onToken, tokenName } from "./token.js";
import { openStream } from "./stream.js";

const BATCH = 250;
const HIDDEN = 60_000;
const RECENT = 200;

/** @typedef {{id: string, type: string, subject: string, time: string, principal?: string, data: any, removal?: boolean}} RegistryEvent */

/** @type {import("./lib.js").Sig<import("./stream.js").StreamState>} */
export const connection = signal({ word: "connecting", at: null, retryAt: null });
/** The newest revision that this page knows of. */
export const revision = signal(0);
/** The version that the server says, and its store. */
export const server = signal({ version: "", store: "" });
/** A sentence for the reader, such as "The history begins anew"; null for none. @type {import("./lib.js").Sig<string | null>} */
export const streamNote = signal(null);
/** The newest events of this session, the newest first, at most 200. @type {import("./lib.js").Sig<RegistryEvent[]>} */
export const recent = signal([]);

/** @type {Set<(events: RegistryEvent[]) => void>} */
const listeners = new Set();
/** @type {Set<() => void>} */
const relisters = new Set();
/** @type {RegistryEvent[]} */
let queue = [];
let timer = 0;
let flushed = 0;
let seen = 0;

/** Calls back with every batch of events. @param {(events: RegistryEvent[]) => void} listener @returns {() => void} ends it */
export function onEvents(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Calls back when all lists have to be read again. @param {() => void} listener @returns {() => void} ends it */
export function onRelist(listener) {
  relisters.add(listener);
  return () => relisters.delete(listener);
}

function flush() {
  timer = 0;
  flushed = Date.now();
  const events = queue;
  queue = [];
  batch(() => {
    recent.value = [...events.slice(-RECENT).reverse(), ...recent.value].slice(0, RECENT);
    revision.value = Math.max(revision.value, seen);
    for (const listener of listeners) listener(events);
  });
}

/** @param {string} name @param {any} data @param {string} id */
function message(name, data, id) {
  if (name === "hello") {
    if (server.value.store && server.value.store !== data.store) relist("The registry has another store now. The history begins anew.");
    server.value = { version: data.version ?? "", store: data.store ?? "" };
    revision.value = Math.max(revision.value, data.revision ?? 0);
    return;
  }
  const at = Number(id.slice(id.lastIndexOf("-") + 1)) || data.revision || 0;
  if (name === "bookmark") { revision.value = Math.max(revision.value, at); return; }
  if ((name !== "change" && name !== "removal") || at <= seen) return;
  seen = at;
  queue.push({ ...data, removal: name === "removal" });
  if (!timer) timer = setTimeout(flush, Math.max(0, flushed + BATCH - Date.now()));
}

/** @param {string} why */
function relist(why) {
  if (why) streamNote.value = why;
  seen = 0;
  revision.value = 0;
  for (const listener of relisters) listener();
}

/** @param {any} problem */
function denied(problem) {
  if (problem.status === 401) loginNeeded.value = problem;
}

/** @type {{post: (message: any) => void, stop: () => void} | null} */
let channel = null;

/** @param {number | null} after */
function shared(after) {
  const worker = new SharedWorker(new URL("./worker.js", import.meta.url), { type: "module", name: tokenName() });
  worker.port.onmessage = ({ data }) => {
    if (data.what === "state") connection.value = data.state;
    else if (data.what === "message") message(data.name, data.data, data.id);
    else if (data.what === "relist") relist(data.why);
    else if (data.what === "denied") denied(data.problem);
  };
  worker.onerror = () => { channel = own(after); };
  worker.port.postMessage({ what: "start", base: base.href, token: getToken(), after });
  return { post: (/** @type {any} */ one) => worker.port.postMessage(one), stop: () => worker.port.postMessage({ what: "bye" }) };
}

/** @param {number | null} after */
function own(after) {
  const stream = openStream(base.href, getToken, after, {
    state: (state) => { connection.value = state; }, message, relist, denied,
  });
  return {
    post: (/** @type {any} */ one) => {
      if (one.what === "hidden" && one.hidden) stream.pause();
      else if (one.what !== "hidden" || stream.state().word === "paused") stream.resume();
    },
    stop: () => stream.close(),
  };
}

/** Begins to watch after a revision: that of the lists that were read first. @param {number | null} after */
export function watch(after) {
  channel?.stop();
  seen = after ?? 0;
  revision.value = Math.max(revision.value, seen);
  channel = "SharedWorker" in window ? shared(after) : own(after);
}

/** Tries to connect at once. */
export const retryNow = () => channel?.post({ what: "retry" });

onToken(() => { if (channel) watch(seen || null); });

let hiding = 0;
document.addEventListener("visibilitychange", () => {
  clearTimeout(hiding);
  if (document.hidden) hiding = setTimeout(() => channel?.post({ what: "hidden", hidden: true }), HIDDEN);
  else channel?.post({ what: "hidden", hidden: false });
});
addEventListener("pagehide", () => channel?.stop());
addEventListener("pageshow", (event) => { if (event.persisted && channel) watch(seen || null); });
