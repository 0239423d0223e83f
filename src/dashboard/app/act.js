// @ts-check
// The one way of every write: it is refused in the past, when read-only and without the right; it carries Idempotency-Key, If-Match and
// Registry-Reason; and its outcome stays on the page, with Undo where there is an inverse.
import { signal } from "./lib.js";
import { request, takesReasons, ApiError } from "./api.js";
import { asOf } from "./router.js";
import { ready, who } from "./store.js";

/**
 * @typedef {"write" | "admin"} Need
 * @typedef {{
 *   label: string, method: string, path: string, body?: any, etag?: string | null, reason?: string | null, need?: Need,
 *   plain?: boolean, quiet?: boolean, type?: string, undo?: Action | null
 * }} Action
 *   `label`: what is done, as a sentence ("Released process 4711 of demo_worker"); `etag`: sent as If-Match; `plain`: without an
 *   Idempotency-Key (webhooks, tokens and renewals refuse one); `quiet`: no line after success; `undo`: the inverse.
 * @typedef {{id: number, action: Action, key: string | null, reply: import("./api.js").Reply | null, error: ApiError | null, busy: boolean}} Outcome
 */

/** What was done in this session, the newest first. The page shows it until it is dismissed. @type {import("./lib.js").Sig<Outcome[]>} */
export const outcomes = signal([]);
let ids = 0;

/** Why an action is not possible now, for the tooltip of its button; null if it is. @param {Need} [need] @returns {string | null} */
export function refusal(need = "write") {
  if (asOf.value) return "You look at the past. Go back to now to change something.";
  if (ready.value?.status === "read_only") return `The registry is read only${ready.value.reason ? `: ${ready.value.reason}` : "."}`;
  const { role } = who.value;
  if (role && (need === "admin" ? role !== "admin" : role !== "admin" && role !== "reporter")) return `The role ${role} may not do this.`;
  return null;
}

/** Whether the caller may never do this: the action is left out rather than switched off. @param {Need} [need] */
export function hidden(need = "write") {
  const { role } = who.value;
  return Boolean(role) && (need === "admin" ? role !== "admin" : role !== "admin" && role !== "reporter");
}

/** @param {Outcome} outcome */
function put(outcome) {
  const others = outcomes.value.filter((one) => one.id !== outcome.id);
  outcomes.value = [outcome, ...others].slice(0, 5);
}

/** @param {number} id */
export function dismiss(id) {
  outcomes.value = outcomes.value.filter((one) => one.id !== id);
}

/** @param {Outcome} outcome @returns {Promise<import("./api.js").Reply>} */
async function run(outcome) {
  const { action, key } = outcome;
  /** @type {Record<string, string>} */
  const headers = {};
  if (key) headers["Idempotency-Key"] = key;
  if (action.etag) headers["If-Match"] = action.etag;
  if (action.type) headers["Content-Type"] = action.type;
  if (action.reason && takesReasons()) headers["Registry-Reason"] = action.reason;
  const reply = await request(action.path, { method: action.method, body: action.body, headers });
  if (!action.quiet) put({ ...outcome, reply, busy: false });
  return reply;
}

/** A name of the request, so that it may be sent again: crypto.randomUUID is missing on plain http. */
function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * Does one write. Throws an ApiError; a write that may have been done (503, or no answer) also stays as a line that offers
 * to repeat it under the same key.
 * @param {Action} action @returns {Promise<import("./api.js").Reply>}
 */
export async function act(action) {
  const why = refusal(action.need);
  if (why) throw new ApiError({ title: "Not possible now", status: 0, detail: why }, null);
  const outcome = { id: ++ids, action, key: action.plain ? null : newKey(), reply: null, error: null, busy: true };
  try {
    return await run(outcome);
  } catch (error) {
    if (error instanceof ApiError && error.uncertain) put({ ...outcome, error, busy: false });
    throw error;
  }
}

/** Repeats a write whose end is not known, with the same key. @param {Outcome} outcome */
export async function repeat(outcome) {
  put({ ...outcome, busy: true, error: null });
  try {
    await run(outcome);
    if (outcome.action.quiet) dismiss(outcome.id);
  } catch (error) {
    if (error instanceof ApiError) put({ ...outcome, error, busy: false });
  }
}

/** Undoes what was done. @param {Outcome} outcome */
export async function undo(outcome) {
  if (!outcome.action.undo) return;
  try {
    await act(outcome.action.undo);
    dismiss(outcome.id);
  } catch (error) {
    if (error instanceof ApiError) put({ ...outcome, error, busy: false });
  }
}
