// @ts-check
// What a plugin holds and left behind, each with its evidence and what can be done.
import { html } from "../lib.js";
import { withQuery } from "../api.js";
import { route } from "../router.js";
import { useQuery } from "../store.js";
import { acknowledge, keepUntil, release, unacknowledge } from "../actions.js";
import { enriched, rowKey } from "../findings.js";
import { StopCommand } from "../stopping.js";
import { ActButton, Age, Badge, EmptyState, Id, Panel, Prose, Time } from "../ui/index.js";
import { findingWords, resourceWords, stateWords } from "../words.js";
import { plural } from "../format.js";

/** Who did it, with the request. @param {{by: any}} props */
const By = ({ by }) => by && html` by <em>${by.principal ?? "the registry"}</em>${by.request_id ? html` (request <code>${by.request_id}</code>)` : ""}`;

/** @param {{row: import("../findings.js").Row}} props */
function Claim({ row }) {
  return html`<p class="sub">held since <${Time} at=${row.held_since} seconds /><${By} by=${row.claimed_by} />${row.left_at ? html` · left behind <${Time} at=${row.left_at} seconds /><${By} by=${row.left_by} />` : ""}${
    row.expires_at ? html` · meant to end <${Time} at=${row.expires_at} />` : ""}${row.lease ? html` · lease ${row.lease.state}` : " · without a lease"}</p>`;
}

/** @param {{row: import("../findings.js").Row, chosen: boolean}} props */
function Item({ row, chosen }) {
  const state = stateWords(row.observed?.state);
  const finding = row.finding ? findingWords(row.finding) : null;
  return html`<li class=${`hold ${finding ? finding.tone : ""} ${chosen ? "chosen" : ""}`} data-key=${rowKey(row)} data-copy=${row.id}>
    <p><strong>${resourceWords(row)}</strong> <${Id} id=${row.id} most=${60} />${row.host ? ` on ${row.host}` : ""} · claimed: ${row.claimed} · seen: <${Badge} tone=${state.tone} shape=${state.shape}>${state.word}<//>
      ${row.observed ? html`<small class="inline"> <${Age} at=${row.observed.at} ago /> by ${row.observed.by}${row.observed.detail ? `: ${row.observed.detail}` : ""}</small>` : ""}</p>
    <${Claim} row=${row} />
    ${finding && html`<div class="evidence"><p><${Badge} tone=${finding.tone} shape=${finding.shape}>${finding.word}<//>: <${Prose} text=${row.evidence?.text ?? finding.means} /></p>
      ${row.acknowledged ? html`<p>Acknowledged until <${Time} at=${row.acknowledged.until} /><${By} by=${row.acknowledged.by} />: “${row.acknowledged.reason}”</p>` : ""}
      ${row.evidence?.next_step ? html`<div class="next"><p>${row.evidence.next_step}</p></div>` : ""}<${StopCommand} rows=${[row]} /></div>`}
    <p class="acts"><${ActButton} kind="small" mark="release" onClick=${() => release([row])}>Release…<//>
      ${finding && (row.acknowledged ? html`<${ActButton} kind="small" onClick=${() => unacknowledge([row])}>Take back acknowledgement…<//>` : html`<${ActButton} kind="small" onClick=${() => acknowledge([row])}>Acknowledge…<//>`)}
      <${ActButton} kind="small" onClick=${() => keepUntil([row])}>Keep until…<//></p></li>`;
}

/** @param {{id: string, plugin?: any, short?: boolean}} props `short`: only what has a finding */
export function Holds({ id, plugin, short }) {
  const query = useQuery(withQuery("/resources", { plugin: [id], limit: 1000 }), { when: (event) => event.subject === id || event.type.startsWith("lease."), gap: 1_000 });
  const rows = /** @type {import("../findings.js").Row[]} */ (enriched(query.data?.items ?? [], plugin ? [plugin] : [])).sort((a, b) => Number(Boolean(b.finding)) - Number(Boolean(a.finding)));
  const shown = short ? rows.filter((row) => row.finding && row.finding !== "unverified") : rows;
  if (short && !shown.length) return null;
  return html`<${Panel} title=${short ? "Needs you" : undefined} query=${query}>${() => (shown.length
    ? html`<ul class="holds">${shown.slice(0, 200).map((row) => html`<${Item} key=${rowKey(row)} row=${row} chosen=${row.id === route.value.query.resource} />`)}</ul>${shown.length > 200 ? html`<p>and ${plural(shown.length - 200, "more resource")}</p>` : ""}`
    : html`<${EmptyState} title="It holds nothing."><p>It names no process, container or machine, and left none behind.</p><//>`)}<//>`;
}

/** @param {{id: string, plugin: any}} props */
export default function Tab({ id, plugin }) {
  return html`<${Holds} id=${id} plugin=${plugin} />`;
}
