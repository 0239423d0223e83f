// @ts-check
// Reads GET /events as Server-Sent Events over fetch: EventSource cannot send `Authorization`. Runs in the page or in the shared worker.

/**
 * @typedef {{word: "live" | "connecting" | "reconnecting" | "offline" | "denied" | "paused", at: number | null, retryAt: number | null}} StreamState
 * `at`: when the last bytes came, in ms. `retryAt`: when the next attempt is made.
 * @typedef {{state: (state: StreamState) => void, message: (name: string, data: any, id: string) => void, relist: (why: string) => void,
 *   denied: (problem: any) => void}} Sink
 */

const SILENCE = 20_000;
const FIRST_WAIT = 1_000;
const LONGEST_WAIT = 30_000;

/**
 * Splits a stream of text into messages, as the standard of Server-Sent Events says.
 * @param {(name: string, data: string, id: string) => void} emit @param {(ms: number) => void} retry
 */
export function parser(emit, retry) {
  let rest = "";
  let name = "";
  let id = "";
  /** @type {string[]} */
  let data = [];
  /** @param {string} line */
  const take = (line) => {
    if (line === "") {
      if (data.length) emit(name || "message", data.join("\n"), id);
      name = "";
      data = [];
      return;
    }
    const colon = line.indexOf(":");
    if (colon === 0) return;
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") name = value;
    else if (field === "data") data.push(value);
    else if (field === "id") id = value;
    else if (field === "retry" && /^\d+$/.test(value)) retry(Number(value));
  };
  return (/** @type {string} */ text) => {
    const lines = (rest + text).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop() ?? "";
    for (const line of lines) take(line);
  };
}

/**
 * Keeps one stream alive until it is closed.
 * @param {string} base the registry's address @param {() => string | null} token read at each attempt
 * @param {number | null} after the revision to begin after; null for now @param {Sink} sink
 */
export function openStream(base, token, after, sink) {
  let last = "";
  let failures = 0;
  let closed = false;
  let wait = 0;
  /** @type {AbortController | null} */
  let current = null;
  /** @type {StreamState} */
  let state = { word: "connecting", at: null, retryAt: null };
  /** @param {Partial<StreamState>} change */
  const become = (change) => { state = { ...state, ...change }; sink.state(state); };

  /** @param {number} ms */
  const later = (ms) => {
    if (closed) return;
    clearTimeout(wait);
    become({ word: failures > 3 ? "offline" : "reconnecting", retryAt: Date.now() + ms });
    wait = /** @type {any} */ (setTimeout(attempt, ms));
  };
  const backOff = () => {
    const most = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** failures++);
    later(most / 2 + Math.random() * most / 2);
  };

  /** @param {Response} response whether the answer was no stream, and what follows from it */
  async function refused(response) {
    const problem = await response.json().catch(() => ({ title: response.statusText, status: response.status, detail: "" }));
    if (response.status === 410) {
      last = "";
      after = null;
      sink.relist(problem.detail ?? "");
      return later(0);
    }
    if (response.status === 401 || response.status === 403) {
      become({ word: "denied", retryAt: null });
      return sink.denied(problem);
    }
    failures++;
    const seconds = Number(response.headers.get("retry-after"));
    later(seconds > 0 ? seconds * 1000 : Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** failures));
  }

  /** @param {string} name @param {string} text @param {string} id */
  function message(name, text, id) {
    if (id) last = id;
    let data;
    try { data = JSON.parse(text); } catch { return; }
    sink.message(name, data, id);
  }

  async function attempt() {
    if (closed) return;
    const mine = current = new AbortController();
    let quiet = /** @type {any} */ (setTimeout(() => mine.abort(), SILENCE));
    try {
      const url = new URL("events", base);
      if (!last && after !== null) url.searchParams.set("after", String(after));
      /** @type {Record<string, string>} */
      const headers = { Accept: "text/event-stream" };
      if (last) headers["Last-Event-ID"] = last;
      const secret = token();
      if (secret) headers.Authorization = `Bearer ${secret}`;
      const response = await fetch(url, { headers, signal: mine.signal, cache: "no-store", credentials: "same-origin" });
      if (!response.ok || !response.body) return await refused(response);
      become({ word: "live", at: Date.now(), retryAt: null });
      let cutOff = false;
      const read = parser((name, text, id) => { cutOff ||= name === "cut_off"; message(name, text, id); }, () => {});
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { value, done } = await reader.read();
        if (done || mine !== current) break;
        clearTimeout(quiet);
        quiet = setTimeout(() => mine.abort(), SILENCE);
        failures = 0;
        become({ at: Date.now() });
        read(value);
      }
      if (mine !== current) return;
      if (cutOff) return later(0);
    } catch { /* The network ended it, or silence did: the next attempt follows. */
    } finally {
      clearTimeout(quiet);
    }
    if (mine === current) backOff();
  }

  const stop = () => { clearTimeout(wait); const old = current; current = null; old?.abort(); };
  attempt();
  return {
    close() { closed = true; stop(); },
    pause() { stop(); become({ word: "paused", retryAt: null }); },
    /** Tries at once: after a login, or when a hidden page is seen again. */
    resume() { if (!closed) { stop(); failures = 0; attempt(); } },
    /** @returns {StreamState} */
    state: () => state,
  };
}
