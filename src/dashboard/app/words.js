// @ts-check
// What things are called: findings, states and events in words, each with a shape and a tone (state = word + shape + colour).
import { plural, shortId, usd } from "./format.js";

/** @typedef {"bad" | "warn" | "ok" | "soft" | ""} Tone */

/** @type {Record<string, {word: string, shape: string, tone: Tone, means: string}>} */
export const FINDINGS = {
  orphan: { word: "Orphan", shape: "▲", tone: "bad", means: "it may run or bill, and its application has ended or left it behind" },
  overdue: { word: "Overdue", shape: "◆", tone: "bad", means: "it is held beyond the time until which it was meant to be held" },
  reused: { word: "Reused", shape: "⇄", tone: "warn", means: "its name belongs to another resource now" },
  ghost: { word: "Ghost", shape: "○", tone: "soft", means: "the plugin claims it, and it was seen gone" },
  unverified: { word: "Unverified", shape: "?", tone: "warn", means: "no probe has seen it, or none can see it now" },
};
/** @param {string | null | undefined} kind */
export const findingWords = (kind) => FINDINGS[kind ?? ""] ?? { word: String(kind ?? "–"), shape: "■", tone: /** @type {Tone} */ ("warn"), means: "" };

/** @type {Record<string, {word: string, shape: string, tone: Tone}>} */
export const STATES = {
  alive: { word: "alive", shape: "●", tone: "ok" }, gone: { word: "gone", shape: "○", tone: "soft" }, reused: { word: "reused", shape: "⇄", tone: "warn" },
  unreachable: { word: "no answer", shape: "◌", tone: "warn" }, unknown: { word: "unknown", shape: "?", tone: "warn" },
  active: { word: "active", shape: "●", tone: "ok" }, lost: { word: "lost", shape: "▲", tone: "bad" }, released: { word: "released", shape: "○", tone: "soft" },
  running: { word: "running", shape: "●", tone: "ok" }, starting: { word: "starting", shape: "◐", tone: "warn" }, stopping: { word: "stopping", shape: "◑", tone: "warn" },
  off: { word: "off", shape: "○", tone: "soft" },
};
/** @param {string | null | undefined} state */
export const stateWords = (state) => STATES[state ?? ""] ?? { word: state ?? "not seen", shape: "?", tone: /** @type {Tone} */ ("soft") };

/** @type {Record<string, string>} */
export const CERTAINTY = {
  seen: "An agent or a probe saw it alive.", claimed: "Its plugin claims it; there is no recent observation.",
  doubtful: "Its plugin has no host: it may be this one or one on another host.", ended: "It was seen gone, or its name belongs to another resource.",
};

/** @type {Record<string, string>} */
const KINDS = {
  "plugin.registered": "registered", "plugin.updated": "changed", "plugin.removed": "removed", "config.saved": "configuration saved",
  "config.deleted": "configuration deleted", "category.named": "category named", "budget.saved": "budget saved", "budget.removed": "budget removed",
  "lease.granted": "lease granted", "lease.expired": "lease lost: not renewed in time", "lease.revived": "lost lease renewed", "lease.released": "lease released",
  "lease.forgotten": "ended lease forgotten", "plugin.stop_requested": "asked to stop", "plugin.stop_answered": "answered the request to stop", "plugin.noted": "note",
};

/** @param {any} one a resource of an event */
function named(one) {
  return `${one.kind === "remote" ? "machine" : one.kind} ${shortId(one.id, 24)}`;
}

/** @param {any[]} list @param {(one: any) => string} words */
function each(list, words) {
  if (!list?.length) return "";
  return list.slice(0, 3).map(words).join("; ") + (list.length > 3 ? ` and ${list.length - 3} more` : "");
}

/** @param {any} change */
function pids({ before = [], after = [] }) {
  const [was, is] = [new Set(before ?? []), new Set(after ?? [])];
  const added = [...is].filter((pid) => !was.has(pid));
  const gone = [...was].filter((pid) => !is.has(pid));
  const list = (/** @type {any[]} */ all) => (all.length > 3 ? `${all.slice(0, 3).join(", ")} …` : all.join(", "));
  const parts = [];
  if (added.length) parts.push(`${plural(added.length, "process", "processes")} added: ${list(added)}`);
  if (gone.length) parts.push(`${plural(gone.length, "process", "processes")} no longer named: ${list(gone)}`);
  return parts.join("; ") || "processes changed";
}

/** @param {any} value */
const brief = (value) => (value === null || value === undefined ? "none" : typeof value === "object" ? "{…}" : shortId(String(value), 30));

/** One field of a change, in words. @param {string} field @param {any} before @param {any} after @returns {string} */
function fieldWords(field, before, after) {
  if (field === "spawned_pids") return pids({ before, after });
  if (field === "lease_id") return !after ? "no lease now" : before ? "another lease" : "under a lease";
  const name = field === "remote_resource" ? "machine" : field.replaceAll("_", " ");
  if (field === "remote_resource" && !(before && after)) return `${after ? "names" : "no longer names"} the machine ${shortId(String((after ?? before)?.instance_id ?? (after ?? before)?.provider ?? ""), 24)}`;
  const part = field === "labels" ? "label " : "";
  if (Array.isArray(before) || Array.isArray(after) || field === "config_schema") return `${name} changed`;
  if (after && before && typeof after === "object") {
    return each(Object.keys({ ...before, ...after }).filter((key) => JSON.stringify(before[key]) !== JSON.stringify(after[key])), (key) => `${part}${key.replaceAll("_", " ")}: ${brief(before[key])} → ${brief(after[key])}`);
  }
  return `${name} ${brief(before)} → ${brief(after)}`;
}

/** What the registry derives from other fields, and what probes saw: no change that a client made. */
const DERIVED = ["observed", "stop_requested", "stop_answer", "has_active_resources", "billable", "status_class", "is_local_execution", "is_cloud_execution"];
export const changedFields = (/** @type {any} */ event) => Object.entries(event.data?.changed ?? {}).filter(([field]) => !DERIVED.includes(field));

/** @param {any} event */
const changed = (event) => each(changedFields(event), ([field, { before, after }]) => fieldWords(field, before, after));

/** An event as a sentence without its subject. @param {any} event @returns {string} */
export function eventWords(event) {
  const data = event.data ?? {};
  const resources = data.resources ?? [];
  switch (event.type) {
    case "plugin.pids_changed": case "plugin.container_changed": case "remote_resource.changed": case "remote_resource.status_changed":
      return changed(event) || "runtime changed";
    case "plugin.updated": case "plugin.registered": return changed(event) ? `${event.type === "plugin.registered" ? "registered again: " : ""}${changed(event)}` : KINDS[event.type];
    case "resource.observed": return each(resources, (one) => `${named(one)} was seen ${stateWords(one.state).word}`) || "seen";
    case "resource.left_behind": return each(resources, (one) => `${named(one)} left behind`) || "left behind";
    case "resource.ended": return each(resources, (one) => `${named(one)} ended`) || "ended";
    case "resource.released": return each(resources, (one) => `${named(one)} released`) || "released";
    case "resource.expires_soon": return each(resources, (one) => `${named(one)} is meant to end soon`) || "expires soon";
    case "resource.expiry_set": return each(resources, (one) => `${named(one)} ${one.expires_at ? `kept until ${one.expires_at}` : "has no end now"}`) || "end set";
    case "finding.raised": return each(resources, (one) => `${findingWords(one.finding).word.toLowerCase()}: ${named(one)}`) || "finding raised";
    case "finding.cleared": return each(resources, (one) => `no longer ${findingWords(one.finding).word.toLowerCase()}: ${named(one)}`) || "finding cleared";
    case "finding.acknowledged": return each(resources, (one) => `acknowledged: ${named(one)}${one.acknowledgement ? `, “${one.acknowledgement.reason}”` : ""}`) || "acknowledged";
    case "finding.unacknowledged": return each(resources, (one) => `acknowledgement ended: ${named(one)}`) || "acknowledgement ended";
    case "budget.breach_projected": return `budget ${data.budget?.name ?? ""} will reach its limit ${data.budget?.projected_breach_at ?? ""}`;
    case "budget.burn_exceeded": return `budget ${data.budget?.name ?? ""}: ${data.budget?.burn_usd_per_hour ?? "?"} $/h, above ${data.budget?.limit_usd_per_hour ?? "?"} $/h`;
    case "budget.burn_recovered": return `budget ${data.budget?.name ?? ""}: ${data.budget?.burn_usd_per_hour ?? "?"} $/h, within its limit again`;
    case "budget.threshold_reached": return `budget ${data.budget?.name ?? ""} reached ${data.budget?.percent ?? "?"} %`;
    case "lease.granted": case "lease.expired": case "lease.revived": case "lease.released":
      return `${KINDS[event.type]}${data.lease?.holder ? ` (${data.lease.holder})` : ""}`;
    case "plugin.stop_requested": return `asked to stop${data.stop_request?.reason ? `: “${data.stop_request.reason}”` : ""}`;
    case "plugin.stop_answered": return `request to stop ${data.stop_answer?.answer ?? "answered"}${data.stop_answer?.detail ? `: ${data.stop_answer.detail}` : ""}`;
    case "plugin.noted": return `“${data.note?.text ?? data.text ?? ""}”`;
    default: return KINDS[event.type] ?? String(event.type ?? "").replace(/[._]/g, " ");
  }
}

/** @param {string | undefined} type @returns {Tone} */
export function eventTone(type) {
  if (type === "finding.raised" || type === "lease.expired" || type === "budget.threshold_reached" || type === "budget.burn_exceeded") return "bad";
  if (type === "resource.left_behind" || type === "resource.expires_soon" || type === "budget.breach_projected") return "warn";
  return "";
}

/** Whether the subject of an event is a plugin. @param {any} event */
export const aboutPlugin = (event) => !/^(lease|category|budget)\./.test(event.type ?? "");

/** A resource in a few words: `8 × A100`, `process`, `container`. @param {any} row a row of /resources */
export function resourceWords(row) {
  if (row.kind === "process") return "process";
  if (row.kind === "container") return "container";
  if (row.gpu_type) return `${row.gpu_count > 1 ? `${row.gpu_count} × ` : ""}${row.gpu_type}`;
  return "machine";
}

/** @param {number | null | undefined} price */
export const priceWords = (price) => (price === null || price === undefined ? "no price" : `${usd(price)} an hour`);
