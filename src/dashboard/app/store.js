// @ts-check
// What the pages share: who is asking, the server's health, the clock, and queries that follow the live stream.
import { signal, computed, useEffect, useRef, useState } from "./lib.js";
import { get, has, skew, withQuery, ApiError } from "./api.js";
import { asOf } from "./router.js";
import { connection, onEvents, onRelist } from "./live.js";

/**
 * @typedef {{name: string | null, role: string | null, scope: any, expires_at: string | null, may: string[] | null, tokens: boolean | null}} Who
 * `may` and `role` are null when the server does not tell: every action is offered then, and refused by the server.
 */

/** @type {import("./lib.js").Sig<Who>} */
export const who = signal({ name: null, role: null, scope: null, expires_at: null, may: null, tokens: null });
/** The answer of /readyz. @type {import("./lib.js").Sig<any>} */
export const ready = signal(null);
/** The server's time in ms, once a second; `slow` every 15 s. */
export const clock = signal(Date.now());
export const slow = signal(Date.now());
/** True when what is shown may be old: no bytes for 20 s, or no connection. */
export const stale = computed(() => {
  const { word, at } = connection.value;
  if (word === "live" || word === "paused") return false;
  return at !== null && clock.value - skew.value - at > 20_000;
});

setInterval(() => {
  const now = Date.now() + skew.value;
  clock.value = now;
  if (now - slow.peek() >= 15_000 || now < slow.peek()) slow.value = now;
}, 1000);

/** Reads who is asking; a server without /whoami leaves it open. */
export async function readWho() {
  if (!has("GET /whoami")) return;
  try {
    const told = await get("/whoami");
    who.value = {
      name: told.name ?? null, role: told.role ?? null, scope: told.scope ?? null, expires_at: told.expires_at ?? null,
      may: Array.isArray(told.may) ? told.may : null, tokens: told.tokens_configured ?? null,
    };
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
  }
}

export async function readReady() {
  try {
    ready.value = await get("/readyz");
  } catch (error) {
    if (error instanceof ApiError) ready.value = { status: error.status ? "read_only" : "unknown", reason: error.problem.detail };
  }
}

/** Operations that can look at the past. */
const PAST = /^\/(plugins|resources|stats|costs)(\/[^/?]+)?(\?|$)/;

/** The path with `as_of` of the page where the operation takes it. @param {string} path */
export const inTime = (path) => (asOf.value && PAST.test(path) ? withQuery(path, { as_of: asOf.value }) : path);

/**
 * @template T
 * @typedef {{data: T | null, error: ApiError | null, loading: boolean, at: number | null, reload: () => void}} Query
 */

/**
 * Reads a document and keeps it new. A new path shows the old data until the answer is here.
 * @template [T=any]
 * @param {string | null} path null reads nothing
 * @param {{when?: (event: import("./live.js").RegistryEvent) => boolean, gap?: number, every?: number,
 *   patch?: (data: T, events: import("./live.js").RegistryEvent[]) => T, now?: boolean, accept?: string, most?: number}} [options]
 *   `when`: which events make it read again, at most every `gap` ms (5,000 unless said); `every`: also after so many ms;
 *   `patch`: changes the data by events at once; `now`: ignores the time travel; `most`: follows the cursors of a list up to so many rows.
 * @returns {Query<T>}
 */
export function useQuery(path, options = {}) {
  const [state, setState] = useState(/** @type {any} */ ({ data: null, error: null, loading: path !== null, at: null, path: null }));
  const full = path === null ? null : options.now ? path : inTime(path);
  const latest = useRef(options);
  latest.current = options;
  const box = useRef(/** @type {{reload: () => void}} */ ({ reload: () => {} }));

  useEffect(() => {
    if (full === null) { setState({ data: null, error: null, loading: false, at: null, path: null }); return; }
    const gap = latest.current.gap ?? 5_000;
    let abort = new AbortController();
    let timer = 0;
    let last = 0;
    let took = 0;
    let ended = false;
    const read = async () => {
      clearTimeout(timer);
      timer = 0;
      last = Date.now();
      abort.abort();
      const mine = abort = new AbortController();
      setState((/** @type {any} */ old) => ({ ...old, loading: true }));
      try {
        const sent = { signal: mine.signal, accept: latest.current.accept };
        const first = await get(full, sent);
        const data = await whole(full, first, latest.current.most ?? 0, sent, (part) => {
          // Parts are shown while nothing else is: a list that is read again stays whole meanwhile.
          if (!mine.signal.aborted) setState((/** @type {any} */ old) => (old.path === full && old.data && !old.part ? old : { data: part, error: null, loading: true, at: Date.now(), path: full, part: true }));
        });
        took = Date.now() - last;
        if (!mine.signal.aborted) setState({ data, error: null, loading: false, at: Date.now(), path: full });
      } catch (error) {
        if (mine.signal.aborted) return;
        const known = error instanceof ApiError ? error : new ApiError({ title: "Unexpected answer", status: 0, detail: String(error) }, null);
        setState((/** @type {any} */ old) => ({ ...old, data: old.path === full ? old.data : null, error: known, loading: false }));
      }
    };
    const soon = () => {
      if (timer || ended) return;
      // What takes long to read is read less often.
      timer = setTimeout(read, Math.max(0, last + Math.max(gap, took * 5) - Date.now()));
    };
    box.current.reload = read;
    const past = asOf.peek() && !latest.current.now;
    const off = [onRelist(read)];
    if (!past && (latest.current.when || latest.current.patch)) {
      off.push(onEvents((events) => {
        const { when, patch } = latest.current;
        if (patch) setState((/** @type {any} */ old) => (old.data ? { ...old, data: patch(old.data, events) } : old));
        if (when && events.some(when)) soon();
      }));
    }
    const every = !past && latest.current.every ? setInterval(() => { if (!document.hidden) soon(); }, latest.current.every) : 0;
    read();
    return () => { ended = true; clearTimeout(timer); clearInterval(every); abort.abort(); off.forEach((end) => end()); };
  }, [full]);

  return { ...state, loading: state.loading || state.path !== full, reload: () => box.current.reload() };
}

/**
 * The pages of a list as one, up to so many rows; `next_cursor` stays if there are more.
 * @param {string} path @param {any} first @param {number} most @param {import("./api.js").Options} sent @param {(part: any) => void} show
 */
async function whole(path, first, most, sent, show) {
  let all = first;
  while (all?.next_cursor && all.items.length < most) {
    show(all);
    const page = await get(withQuery(path, { cursor: all.next_cursor }), sent);
    all = { ...all, items: [...all.items, ...page.items], next_cursor: page.next_cursor };
  }
  return all;
}

/** Replaces rows of a list of plugins by what events say. @param {any} page @param {import("./live.js").RegistryEvent[]} events */
export function patchPlugins(page, events) {
  const changed = new Map();
  for (const event of events) if (event.data?.plugin) changed.set(event.subject, event.data.plugin);
  if (!page.items.some((/** @type {any} */ item) => changed.has(item.unique_id))) return page;
  return { ...page, items: page.items.map((/** @type {any} */ item) => (changed.has(item.unique_id) ? { ...item, ...changed.get(item.unique_id) } : item)) };
}

/** A small setting that is kept in this browser. @template T @param {string} name @param {T} otherwise @returns {T} */
export function setting(name, otherwise) {
  try {
    const text = localStorage.getItem("plugin-registry." + name);
    return text === null ? otherwise : JSON.parse(text);
  } catch { return otherwise; }
}

/** @param {string} name @param {any} value */
export function keepSetting(name, value) {
  try { localStorage.setItem("plugin-registry." + name, JSON.stringify(value)); } catch { /* It holds until the page ends. */ }
}

/** Whether the list of resources sorts and sums by itself. */
export const sortsResources = () => has("GET /resources", "sort");
