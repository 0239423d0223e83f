// @ts-check
// The small parts that every page is made of: Badge, Money, Age, Time, Id, Copy, EmptyState, Note.
import { html, useState } from "../lib.js";
import { clock, slow } from "../store.js";
import { fullTime, shortId, shortTime, span, usd, usdRange } from "../format.js";
import { pluginHref } from "../router.js";

/** A state as shape + word + colour. @param {{tone?: "bad" | "warn" | "ok" | "soft" | "", shape?: string, title?: string, children?: any}} props */
export function Badge({ tone = "", shape, title, children }) {
  return html`<span class=${`state ${tone}`} title=${title}>${shape && html`<span class="shape" aria-hidden="true">${shape}</span>`}${children}</span>`;
}

/** An amount in USD; with `high`, a range. @param {{low: number | null | undefined, high?: number | null, unit?: string}} props */
export function Money({ low, high, unit }) {
  const text = high === undefined ? usd(low) : usdRange(low, high);
  return html`<span class="num">${text}${unit && text !== "–" && html`<small> ${unit}</small>`}</span>`;
}

/** How long ago, kept new; the whole time is in the title. @param {{at: string | null | undefined, none?: string, ago?: boolean}} props */
export function Age({ at, none = "–", ago = false }) {
  const then = Date.parse(at ?? "");
  if (Number.isNaN(then)) return html`<span class="soft">${none}</span>`;
  const now = Date.now() - then < 90_000 ? clock.value : slow.value;
  const seconds = (now - then) / 1000;
  const words = seconds < -1 ? `in ${span(-seconds)}` : span(seconds) + (ago ? " ago" : "");
  return html`<time datetime=${at} title=${fullTime(then)}>${words}</time>`;
}

/** A time of the day, with the date if it is not today. @param {{at: string | null | undefined, seconds?: boolean, none?: string}} props */
export function Time({ at, seconds, none = "–" }) {
  if (!at) return html`<span class="soft">${none}</span>`;
  return html`<time datetime=${at} title=${fullTime(at)}>${shortTime(at, slow.value, seconds)}</time>`;
}

/** An id in a fixed width, shortened in the middle, with the whole in its title. @param {{id: string | null | undefined, most?: number}} props */
export function Id({ id, most }) {
  return html`<code title=${id ?? undefined}>${shortId(id, most)}</code>`;
}

/** @param {{id: string, query?: Record<string, any>, title?: string}} props */
export function PluginLink({ id, query, title }) {
  return html`<a href=${pluginHref(id, query)}>${title ?? String(id).split(/(?<=_)/).map((part) => html`${part}<wbr />`)}</a>`;
}

/** Copies a text and says so. @param {{text: string, label?: string}} props */
export function Copy({ text, label = "Copy" }) {
  const [done, setDone] = useState("");
  const copy = async () => {
    try {
      if (navigator.clipboard) await navigator.clipboard.writeText(text);
      else copyOld(text);
      setDone("Copied");
    } catch { setDone("Not allowed: copy it by hand"); }
    setTimeout(() => setDone(""), 2000);
  };
  return html`<button type="button" class="small" onClick=${copy}><span role="status">${done || label}</span></button>`;
}

/** The Clipboard API is missing on plain http. @param {string} text */
function copyOld(text) {
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "vh";
  (document.querySelector("dialog[open]") ?? document.body).append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  if (!copied) throw new Error("refused");
}

/** Why a list is empty, and what to do next. @param {{title: string, children?: any}} props */
export function EmptyState({ title, children }) {
  return html`<div class="empty"><p><strong>${title}</strong></p>${children}</div>`;
}

/** @param {{tone?: "" | "warn" | "bad", children?: any}} props */
export function Note({ tone = "", children }) {
  return html`<p class=${`note ${tone}`}>${children}</p>`;
}

/** A command with Copy. @param {{children: string}} props */
export function Command({ children }) {
  return html`<div class="command"><pre tabindex="0">${children}</pre><${Copy} text=${children} /></div>`;
}

/** A sentence of the server, whose times become short ones of this place. @param {{text: string}} props */
export function Prose({ text }) {
  return String(text).split(/(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z)/).map((part, i) => (i % 2 ? html`<${Time} at=${part} seconds />` : part));
}
