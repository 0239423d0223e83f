// @ts-check
// One stream for all tabs: over HTTP/1.1 a browser opens only six connections to a host. Its newest messages are kept for tabs that begin later.
import { openStream } from "./stream.js";

const KEPT = 2_000;

/** @typedef {{port: MessagePort, hidden: boolean}} Tab */
/** @type {Set<Tab>} */
const tabs = new Set();
/** @type {{revision: number, message: any}[]} */
let kept = [];
/** The revision after which `kept` has everything. */
let floor = 0;
/** @type {string | null} */
let token = null;
/** @type {ReturnType<typeof openStream> | null} */
let stream = null;

/** @param {any} message */
function tell(message) {
  for (const tab of tabs) tab.port.postMessage(message);
}

/** @param {string} name @param {any} data @param {string} id */
function received(name, data, id) {
  const revision = Number(id.slice(id.lastIndexOf("-") + 1)) || 0;
  const message = { what: "message", name, data, id };
  if (name === "change" || name === "removal") {
    kept.push({ revision, message });
    if (kept.length > KEPT) floor = /** @type {{revision: number}} */ (kept.shift()).revision;
  }
  tell(message);
}

/** @param {string} base @param {number | null} after */
function begin(base, after) {
  kept = [];
  floor = after ?? Infinity;
  stream = openStream(base, () => token, after, {
    state: (state) => tell({ what: "state", state }),
    message: received,
    relist: (why) => { kept = []; floor = Infinity; tell({ what: "relist", why }); },
    denied: (problem) => tell({ what: "denied", problem }),
  });
}

/** A tab that joins later gets what it has not seen; if that is not kept, it reads its lists again. @param {Tab} tab @param {number | null} after */
function join(tab, after) {
  if (after === null || !stream) return;
  tab.port.postMessage({ what: "state", state: stream.state() });
  if (after < floor && floor !== Infinity) tab.port.postMessage({ what: "relist", why: "" });
  for (const one of kept) if (one.revision > after) tab.port.postMessage(one.message);
}

/** @param {Tab} tab @param {any} data */
function told(tab, data) {
  if (data.what === "start") {
    token = data.token;
    if (!stream) begin(data.base, data.after);
    else {
      if (stream.state().word === "denied" || stream.state().word === "paused") stream.resume();
      join(tab, data.after);
    }
  } else if (data.what === "token") {
    token = data.token;
    stream?.resume();
  } else if (data.what === "hidden") {
    tab.hidden = data.hidden;
    const all = [...tabs].every((one) => one.hidden);
    if (all) stream?.pause();
    else if (stream?.state().word === "paused") stream.resume();
  } else if (data.what === "retry") {
    stream?.resume();
  } else if (data.what === "bye") {
    tabs.delete(tab);
    if (tabs.size > 0) return;
    stream?.close();
    stream = null;
  }
}

/** @type {any} */ (self).onconnect = (/** @type {MessageEvent} */ event) => {
  const tab = { port: event.ports[0], hidden: false };
  tabs.add(tab);
  tab.port.onmessage = (message) => told(tab, message.data);
};
