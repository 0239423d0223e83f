// @ts-check
// What was added, removed and changed between a moment and now.
import { html } from "./lib.js";
import { useQuery } from "./store.js";
import { Dialog, EmptyState, PluginLink, Trouble } from "./ui/index.js";
import { resourceWords, stateWords } from "./words.js";
import { plural, shortId } from "./format.js";

/** @param {any} row */
const key = (row) => `${row.plugin} ${row.kind} ${row.id} ${row.host ?? ""}`;
/** @param {any} row */
const facts = (row) => ({ status: row.claimed, claim: row.claim, seen: stateWords(row.observed?.state).word, finding: row.finding ?? "none", lease: row.lease?.state ?? "none" });

/** @param {any[]} before @param {any[]} after */
export function difference(before, after) {
  const was = new Map(before.map((row) => [key(row), row]));
  const is = new Map(after.map((row) => [key(row), row]));
  const changed = [];
  for (const [name, row] of is) {
    const old = was.get(name);
    if (!old) continue;
    const [a, b] = /** @type {Record<string, string>[]} */ ([facts(old), facts(row)]);
    const fields = Object.keys(a).filter((field) => a[field] !== b[field]).map((field) => `${field} ${a[field]} → ${b[field]}`);
    if (fields.length) changed.push({ row, fields });
  }
  return { added: after.filter((row) => !was.has(key(row))), removed: before.filter((row) => !is.has(key(row))), changed };
}

/** @param {{at: string, onClose: () => void}} props */
export default function Compare({ at, onClose }) {
  const before = useQuery(`/resources?limit=10000&as_of=${encodeURIComponent(at)}`, { now: true });
  const after = useQuery("/resources?limit=10000", { now: true });
  const error = before.error ?? after.error;
  const { added, removed, changed } = difference(before.data?.items ?? [], after.data?.items ?? []);
  const list = (/** @type {string} */ title, /** @type {any[]} */ rows, /** @type {(one: any) => any} */ line) => rows.length > 0 && html`<h3>${title}: ${rows.length}</h3>
    <ul class="plain">${rows.slice(0, 200).map((one) => html`<li>${line(one)}</li>`)}${rows.length > 200 ? html`<li>and ${rows.length - 200} more</li>` : ""}</ul>`;
  const name = (/** @type {any} */ row) => html`${resourceWords(row)} <code>${shortId(row.id, 32)}</code> of <${PluginLink} id=${row.plugin} />${row.host ? ` on ${row.host}` : ""}`;
  return html`<${Dialog} title="Then and now" onClose=${onClose} class="big">
    ${error ? html`<${Trouble} error=${error} />` : !before.data || !after.data ? html`<p class="soft">Loading …</p>` : html`
      <p>${plural(added.length, "holding")} added, ${removed.length} gone, ${changed.length} changed since then.</p>
      ${!added.length && !removed.length && !changed.length && html`<${EmptyState} title="The same is held as then." />`}
      ${list("Added since", added, name)}${list("Gone since", removed, name)}
      ${list("Changed", changed, ({ row, fields }) => html`${name(row)}: ${fields.join("; ")}`)}
      ${(before.data.next_cursor || after.data.next_cursor) && html`<p class="soft">Only the first 10,000 holdings were compared.</p>`}`}
  <//>`;
}
