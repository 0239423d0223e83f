// @ts-check
// Events as rows: the time, the change in words, its subject, its caller.
import { html } from "./lib.js";
import { href } from "./router.js";
import { Badge, PluginLink, Table, Time } from "./ui/index.js";
import { aboutPlugin, eventTone, eventWords } from "./words.js";

const SHAPES = { bad: "▲", warn: "◆" };

/** What the event is about, as a link to it. @param {any} event */
function subject(event) {
  if (aboutPlugin(event)) return html`<${PluginLink} id=${event.subject} query=${{ tab: "timeline" }} />`;
  if (event.type.startsWith("lease.")) return html`<a href=${href("/leases", { lease: event.subject })}>${event.data?.lease?.holder ?? "lease"}</a>`;
  if (event.type.startsWith("budget.")) return html`<a href=${href("/admin")}>${event.data?.budget?.name ?? event.subject}</a>`;
  return event.subject;
}

/** Why it was done, if the caller said so. @param {any} event */
export const reasonOf = (event) => event.data?.reason ?? event.reason ?? null;

/** An event in words, with the shape of its tone. @param {{event: any}} props */
export function EventText({ event }) {
  const tone = eventTone(event.type);
  const reason = reasonOf(event);
  return html`${tone ? html`<${Badge} tone=${tone} shape=${SHAPES[/** @type {"bad" | "warn"} */ (tone)]}><//> ` : ""}${eventWords(event)}${reason ? html` <small>“${reason}”</small>` : ""}`;
}

/** @type {import("./ui/table.js").Column<any>[]} */
const COLUMNS = [
  { key: "time", title: "Time", cell: (event) => html`<${Time} at=${event.time} seconds />` },
  { key: "what", title: "What", wide: true, cell: (event) => html`<${EventText} event=${event} />` },
  { key: "subject", title: "Of", cell: subject },
  { key: "by", title: "By", cell: (event) => event.principal ?? html`<span class="soft">the registry</span>` },
];
/** @type {import("./ui/table.js").Column<any>[]} */
const MORE = [
  { key: "request", title: "Request", cell: (event) => (event.data?.request_id ? html`<code>${event.data.request_id}</code>` : html`<span class="soft">–</span>`) },
  { key: "then", title: "Revision", num: true, cell: (event) => html`<a href=${href("/" + (aboutPlugin(event) ? "plugins/" + encodeURIComponent(event.subject) : "resources"), { as_of: event.id })} title="Look at it then">${event.id}</a>` },
];

/** @param {{events: any[], caption: string, all?: boolean, empty?: any}} props `all`: with the request and the revision */
export function EventTable({ events, caption, all, empty }) {
  return html`<${Table} caption=${caption} columns=${all ? [...COLUMNS, ...MORE] : COLUMNS} rows=${events} id=${(/** @type {any} */ event) => event.id} empty=${empty ?? html`<p class="soft">Nothing has happened yet.</p>`} />`;
}
