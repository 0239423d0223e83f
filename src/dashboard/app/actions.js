// @ts-check
// What a person can do with what a plugin holds. Each asks first, says what follows, and goes through act(). Nothing is stopped here: a person copies the command.
import { html } from "./lib.js";
import { get, has, path, takesReasons, withQuery } from "./api.js";
import { act } from "./act.js";
import { ask, Id } from "./ui/index.js";
import { resourceWords } from "./words.js";
import { plural, shortId } from "./format.js";

/** @typedef {import("./findings.js").Row} Row */

/** @type {import("./ui/dialog.js").Field[]} */
const REASON = [{ name: "reason", label: "Reason, kept in the history", maxlength: 500 }];
const reasonFields = () => (takesReasons() ? REASON : []);

/** @param {Row} row */
const nameOf = (row) => ({ plugin: row.plugin, kind: row.kind, id: row.id, host: row.host });
/** @param {Row} row */
const words = (row) => `${resourceWords(row)} ${shortId(row.id, 32)}`;
/** @param {Row[]} rows @param {string | undefined} reason */
function released(rows, reason) {
  const [one] = rows;
  const isProcess = rows.length === 1 && one.kind === "process" && one.claim === "claimed";
  return act({
    label: rows.length === 1 ? `Released ${words(one)} of ${one.plugin}` : `Released ${plural(rows.length, "resource")}`,
    method: "POST", path: "/resources/release", body: { resources: rows.map(nameOf) }, plain: !has("POST /resources/release", "Idempotency-Key"), reason,
    undo: isProcess ? { label: `${one.plugin} names process ${one.id} again`, method: "POST", path: path`/plugins/${one.plugin}/spawned_pids`, body: { spawned_pids: [Number(one.id)] } } : null,
  });
}

/** Releases rows; the plan is the list. @param {Row[]} rows @returns {Promise<boolean>} */
export async function release(rows) {
  if (!rows.length) return false;
  const bills = rows.some((row) => row.billable);
  const living = rows.filter((row) => row.observed?.state === "alive").length;
  const answer = await ask({
    title: rows.length === 1 ? `Release ${words(rows[0])}?` : `Release ${rows.length} resources?`,
    text: html`<p>The registry forgets that ${rows.length === 1 ? "it is" : "they are"} held. It stops nothing: what runs or bills goes on.</p>
      ${living ? html`<p><strong>${plural(living, "resource")} ${living === 1 ? "was" : "were"} seen alive.</strong></p>` : ""}
      <ul class="plain">${rows.map((row) => html`<li>${resourceWords(row)} <${Id} id=${row.id} most=${40} /> of ${row.plugin}${row.host ? ` on ${row.host}` : ""}${row.observed ? `, seen ${row.observed.state}` : ", not seen"}</li>`)}</ul>`,
    fields: reasonFields(), confirm: "Release", danger: bills || living > 0, typed: bills ? rows[0].plugin : null,
    run: async ({ reason }) => refusals((await released(rows, reason)).data),
  });
  return answer !== null;
}

/** What the server did not release stays said. @param {any} result */
async function refusals(result) {
  const not = (result?.items ?? []).filter((/** @type {any} */ one) => one.problem);
  if (not.length) {
    await ask({ title: `${plural(not.length, "resource")} not released`, confirm: "Close", cancel: "Back",
      text: html`<ul class="plain">${not.map((/** @type {any} */ one) => html`<li><code>${one.kind} ${one.id}</code> of ${one.plugin}: ${one.problem.detail ?? one.problem.title}</li>`)}</ul>` });
  }
  return result;
}

/** Releases all ghosts: the plan is asked from the server first. */
export async function releaseGhosts() {
  const page = await get(withQuery("/resources", { finding: "ghost", acknowledged: false, limit: 1000 }));
  return release(page.items);
}

/** @param {Row} row @param {string} what */
const at = (row, what) => withQuery(path`/resources/${row.plugin}/${row.kind}/${row.id ?? ""}/` + what, { host: row.claim === "left_behind" ? row.host : null });

/** @param {string} local a value of datetime-local */
const iso = (local) => new Date(local).toISOString();
/** @param {number} hours from now, as datetime-local wants it */
function hence(hours) {
  const then = new Date(Date.now() + hours * 3_600_000);
  return new Date(then.getTime() - then.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

/** One write for each row, one after the other; the first problem ends it. @param {Row[]} rows @param {(row: Row) => import("./act.js").Action} action */
async function each(rows, action) {
  let reply = null;
  for (const row of rows) reply = await act(action(row));
  return reply;
}
/** @param {Row[]} rows */
const all = (rows) => (rows.length === 1 ? words(rows[0]) : plural(rows.length, "resource"));

/** @param {Row[]} rows */
export const acknowledge = (rows) => ask({
  title: `Acknowledge: ${rows[0].finding} of ${all(rows)}`,
  text: html`<p>It stays visible, and is left out of counts, alerts and webhooks until then.</p>`,
  fields: [{ name: "reason", label: "Reason", required: true, maxlength: 500 }, { name: "until", label: "Until", type: "datetime-local", required: true, value: hence(24), min: hence(0) }],
  confirm: "Acknowledge",
  run: ({ reason, until }) => each(rows, (row) => ({
    label: `Acknowledged: ${row.finding} of ${words(row)}`, method: "PUT", path: at(row, "acknowledgement"), body: { reason, until: iso(until) },
    undo: { label: `Took back the acknowledgement of ${words(row)}`, method: "DELETE", path: at(row, "acknowledgement") },
  })),
});

/** @param {Row[]} rows */
export const unacknowledge = (rows) => ask({
  title: `Take back the acknowledgement of ${all(rows)}?`, text: html`<p>“${rows[0].acknowledged?.reason}”. It counts as a finding again.</p>`, confirm: "Take back",
  run: () => each(rows, (row) => ({ label: `Took back the acknowledgement of ${words(row)}`, method: "DELETE", path: at(row, "acknowledgement") })),
});

/** @param {Row[]} rows */
export const keepUntil = (rows) => ask({
  title: `How long is ${all(rows)} meant to be held?`, text: html`<p>After this time it is a finding: overdue. An event comes before.</p>`,
  fields: [{ name: "until", label: "Until; empty for no end", type: "datetime-local", value: hence(24) }], confirm: "Set",
  run: ({ until }) => each(rows, (row) => ({
    label: `${words(row)} is meant to be held ${until ? `until ${until.replace("T", " ")}` : "without an end"}`, method: until ? "PUT" : "DELETE", path: at(row, "expires_at"),
    body: until ? { expires_at: iso(until) } : undefined,
    undo: row.expires_at ? { label: "Set the former end again", method: "PUT", path: at(row, "expires_at"), body: { expires_at: row.expires_at } } : null,
  })),
});

/** @param {string} id */
export const askToStop = (id) => ask({
  title: `Ask ${id} to stop?`, text: html`<p>The registry passes the wish on. The application answers, or does not; the registry stops nothing.</p>`,
  fields: [{ name: "reason", label: "Reason", required: true, maxlength: 500 }, { name: "deadline", label: "Until; empty for no end", type: "datetime-local", value: hence(1), min: hence(0) }], confirm: "Ask",
  run: ({ reason, deadline }) => act({
    label: `Asked ${id} to stop`, method: "POST", path: path`/plugins/${id}/stop_request`, body: { reason, deadline: deadline ? iso(deadline) : null }, plain: !has("POST /plugins/{id}/stop_request", "Idempotency-Key"),
  }),
});
