// @ts-check
// The one way to the API: adds the token, reads problems, waits for a login after a 401, and knows what this server offers.
import { signal } from "./lib.js";
import { getToken } from "./token.js";

/** The registry's address: the page's own directory, so that a proxy may serve it below a path. */
export const base = new URL("./", document.baseURI);

/**
 * @typedef {{type?: string, title: string, status: number, detail: string, request_id?: string,
 *   errors?: {pointer: string, detail: string}[]}} Problem
 * @typedef {{method?: string, body?: any, headers?: Record<string, string>, signal?: AbortSignal, accept?: string}} Options
 * @typedef {{status: number, data: any, etag: string | null, headers: Headers}} Reply
 */

/** An answer that is a problem (RFC 9457), or no answer at all (`status` 0). */
export class ApiError extends Error {
  /** @param {Problem} problem @param {Headers | null} headers */
  constructor(problem, headers) {
    super(problem.detail || problem.title);
    this.problem = problem;
    this.status = problem.status;
    this.retryAfter = Number(headers?.get("retry-after")) || null;
  }
  /** Whether a write may have been done although no success was answered. */
  get uncertain() {
    return this.status === 0 || this.status === 503 || this.status === 504;
  }
}

/** Set while a token is needed; the login dialog shows it. @type {import("./lib.js").Sig<Problem | null>} */
export const loginNeeded = signal(null);
/** Seconds since this replica knew that its revision is the newest, or null. @type {import("./lib.js").Sig<number | null>} */
export const replicaAge = signal(null);
/** Milliseconds that the server's clock is ahead of this one. */
export const skew = signal(0);
/** True if the server has no tokens although one was sent. */
export const tokenIgnored = signal(false);

/** @type {((again: boolean) => void)[]} */
let waiting = [];

/** Ends the wait of every request that met a 401. @param {boolean} again whether there is another token to try */
export function loginDone(again) {
  loginNeeded.value = null;
  const all = waiting;
  waiting = [];
  for (const wake of all) wake(again);
}

/** @type {number | null} */
let first = null;
/** The revision of the first answer: no list is older. */
export const firstRevision = () => first;

let store = "";
/** The entity tag of a plugin's document, for If-Match: it also holds for a document that an event brought. @param {{revision: number}} plugin */
export const etagOf = (plugin) => `"${store}-${plugin.revision}"`;

/** @param {Headers} headers */
function readHeaders(headers) {
  store = headers.get("registry-store") ?? store;
  if (first === null && headers.has("registry-revision")) first = Number(headers.get("registry-revision"));
  const age = headers.get("registry-age");
  replicaAge.value = age === null ? null : Number(age);
  const date = Date.parse(headers.get("date") ?? "");
  if (date) {
    const ahead = date + 500 - Date.now();
    skew.value = Math.abs(ahead) > 2000 ? ahead : 0;
  }
  tokenIgnored.value = headers.get("registry-tokens") === "not-configured";
}

/** @param {string} path @param {Options} options @returns {Promise<Response>} */
async function send(path, options) {
  const headers = new Headers(options.headers);
  headers.set("Accept", options.accept ?? "application/json");
  const token = getToken();
  if (token) headers.set("Authorization", `Bearer ${token}`);
  let body;
  if (options.body !== undefined) {
    body = JSON.stringify(options.body);
    if (!headers.has("Content-Type")) headers.set("Content-Type", "application/json");
  }
  try {
    return await fetch(new URL(path.replace(/^\//, ""), base), {
      method: options.method ?? "GET", headers, body, signal: options.signal, cache: "no-cache", credentials: "same-origin", redirect: "error",
    });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new ApiError({ title: "No answer", status: 0, detail: "The registry does not answer. The network or the registry may be down." }, null);
  }
}

/** @param {Response} response @returns {Promise<Problem>} */
async function problemOf(response) {
  const text = await response.text();
  try {
    const problem = JSON.parse(text);
    if (typeof problem?.title === "string") return problem;
  } catch { /* A proxy may answer with a page of its own. */ }
  return { title: response.statusText || `HTTP ${response.status}`, status: response.status, detail: text.slice(0, 300) };
}

/**
 * Sends one request. Throws an ApiError for every answer of 400 and above. After a 401 it waits for another token and sends again.
 * @param {string} path with its query, such as `/plugins?active=true`
 * @param {Options} [options]
 * @returns {Promise<Reply>}
 */
export async function request(path, options = {}) {
  for (;;) {
    const used = getToken();
    const response = await send(path, options);
    readHeaders(response.headers);
    if (response.status === 401) {
      const problem = await problemOf(response);
      if (getToken() !== used) continue;
      loginNeeded.value = problem;
      const again = await new Promise((wake) => waiting.push(wake));
      if (again) continue;
      throw new ApiError(problem, response.headers);
    }
    if (response.status >= 400) throw new ApiError(await problemOf(response), response.headers);
    const type = response.headers.get("content-type") ?? "";
    const data = response.status === 204 || response.status === 304 ? null
      : /[/+]json\b/.test(type) ? await response.json() : await response.text();
    return { status: response.status, data, etag: response.headers.get("etag"), headers: response.headers };
  }
}

/** @param {string} path @param {Options} [options] @returns {Promise<any>} the document */
export async function get(path, options) {
  return (await request(path, options)).data;
}

/** Builds a path from its parts: each value is percent-encoded. @param {TemplateStringsArray} parts @param {...(string | number)} values */
export function path(parts, ...values) {
  return parts.reduce((all, part, i) => all + encodeURIComponent(String(values[i - 1])) + part);
}

/** @param {string} path @param {Record<string, any>} params null, undefined and "" are left out; lists are repeated with commas */
export function withQuery(path, params) {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(params)) {
    if (value === null || value === undefined || value === "") continue;
    query.set(key, Array.isArray(value) ? value.map((one) => String(one).replaceAll("\\", "\\\\").replaceAll(",", "\\,")).join(",") : String(value));
  }
  const text = query.toString();
  return text ? path + (path.includes("?") ? "&" : "?") + text : path;
}

// What this server offers, from its own description: the dashboard hides what an older server does not have.

/** Operations with the names of their parameters. @type {Record<string, string[]>} */
let operations = {};
/** Whether the server takes the header field Registry-Reason. */
let reasons = false;
/** Kept while the tab lives, for the files of this version of the dashboard. */
const KEPT = "plugin-registry.offers " + import.meta.url;

/** True once it is known what the server offers. */
export const featuresKnown = signal(false);
try {
  const kept = JSON.parse(sessionStorage.getItem(KEPT) ?? "null");
  if (kept) { ({ operations, reasons } = kept); featuresKnown.value = true; }
} catch { /* It is read anew. */ }

export async function readFeatures() {
  try {
    const document = await get("/openapi.json");
    /** @type {Record<string, string[]>} */
    const found = {};
    for (const [where, item] of Object.entries(document.paths ?? {})) {
      for (const [method, operation] of Object.entries(/** @type {Record<string, any>} */ (item))) {
        const named = (/** @type {any[]} */ list) => (list ?? []).map((one) => one.name ?? String(one.$ref ?? "").split("/").pop());
        found[`${method.toUpperCase()} ${where}`] = [...named(item.parameters), ...named(operation.parameters)];
      }
    }
    operations = found;
    reasons = JSON.stringify(document).includes("Registry-Reason");
    sessionStorage.setItem(KEPT, JSON.stringify({ operations, reasons }));
  } catch { /* What is not known is not offered. */ }
  featuresKnown.value = true;
}

/** Whether the server has an operation, such as `GET /hosts`, and that operation a parameter. @param {string} operation @param {string} [parameter] */
export function has(operation, parameter) {
  const found = featuresKnown.value ? operations[operation] : undefined;
  return found !== undefined && (parameter === undefined || found.includes(parameter));
}

/** Whether the server keeps a reason with a write. */
export const takesReasons = () => featuresKnown.value && reasons;
