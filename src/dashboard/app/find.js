// @ts-check
// One box (Ctrl K): whois by pid, container, instance, URL or host:port; plugins and pages to go to; and commands.
import { html, useEffect, useId, useRef, useState } from "./lib.js";
import { get, withQuery } from "./api.js";
import { go, href, pluginHref, setQuery } from "./router.js";
import { Dialog, Badge } from "./ui/index.js";
import { CERTAINTY, findingWords, resourceWords } from "./words.js";
import { shellDialog } from "./keys.js";
import { PAGES } from "./pages/index.js";
import { setTheme } from "./theme.js";
import { forget } from "./who.js";
import { getToken } from "./token.js";

/** @typedef {{key: string, name: any, more?: any, run: () => void}} Hit */

/** @param {string} text @returns {Hit[]} */
function commands(text) {
  const low = text.toLowerCase();
  /** @type {Hit[]} */
  const hits = PAGES.map(({ path, name }) => ({ key: "page" + path, name: `Go to ${name}`, run: () => go(href("/" + path)) }));
  for (const name of /** @type {const} */ (["dark", "light", "auto"])) hits.push({ key: name, name: `Colours: ${name}`, run: () => setTheme(name) });
  hits.push({ key: "now", name: "Back to now", run: () => setQuery({ as_of: null }) });
  hits.push({ key: "keys", name: "Keys and help", run: () => { shellDialog.value = "help"; } });
  if (getToken()) hits.push({ key: "forget", name: "Forget token", run: forget });
  const when = /^as of (.+)/i.exec(text);
  if (when) {
    const to = /^\d+$/.test(when[1]) ? when[1] : time(when[1]);
    if (to) return [{ key: "asof", name: `Look at ${/^\d+$/.test(to) ? "revision " + to : to}`, run: () => setQuery({ as_of: to, cursor: null, page: null }) }];
  }
  return low ? hits.filter((hit) => String(hit.name).toLowerCase().includes(low)) : hits.slice(0, 8);
}

/** `13:40` is the last time it was 13:40. @param {string} text */
function time(text) {
  const clock = /^(\d{1,2}):(\d{2})$/.exec(text.trim());
  const at = clock ? new Date() : new Date(text);
  if (clock) {
    at.setHours(Number(clock[1]), Number(clock[2]), 0, 0);
    if (at.getTime() > Date.now()) at.setDate(at.getDate() - 1);
  }
  return Number.isNaN(at.getTime()) ? null : at.toISOString();
}

/** The questions that a text may be. @param {string} text */
function questions(text) {
  const asked = [];
  if (/^[1-9]\d{0,9}$/.test(text) && Number(text) < 2 ** 32) asked.push({ pid: text });
  if (/^(docker:\/\/|containerd:\/\/)?[0-9a-zA-Z][\w.-]*$/.test(text)) asked.push({ container_id: text });
  if (!/\s/.test(text)) asked.push({ instance_id: text });
  if (/[:/.]/.test(text)) asked.push({ endpoint: text });
  return asked;
}

/** @param {any} row @returns {Hit} */
function holder(row) {
  return {
    key: `${row.plugin} ${row.kind} ${row.id} ${row.host}`, run: () => go(pluginHref(row.plugin, { tab: "holds", resource: row.id })),
    name: html`${resourceWords(row)} <code>${row.id}</code>${row.host ? ` on ${row.host}` : ""} is held by <strong>${row.plugin}</strong>`,
    more: html`${CERTAINTY[row.certainty] ?? row.certainty} ${row.finding && html`<${Badge} tone=${findingWords(row.finding).tone} shape=${findingWords(row.finding).shape}>${findingWords(row.finding).word}<//>`}`,
  };
}

/** @param {string} text @param {AbortSignal} signal @returns {Promise<Hit[]>} */
async function lookUp(text, signal) {
  const ask = (/** @type {string} */ path) => get(path, { signal }).then((page) => page.items, () => []);
  const [plugins, ...rows] = await Promise.all([
    ask(withQuery("/plugins", { q: [text], limit: 8, fields: "unique_id,title,category" })),
    ...questions(text).map((one) => ask(withQuery("/resources", { ...one, limit: 8 }))),
  ]);
  const hits = new Map(rows.flat().map((row) => [holder(row).key, holder(row)]));
  for (const one of plugins) hits.set(one.unique_id, { key: one.unique_id, name: html`<strong>${one.unique_id}</strong>`, more: one.title, run: () => go(pluginHref(one.unique_id)) });
  return [...hits.values()];
}

/** @param {{onClose: () => void}} props */
export default function Find({ onClose }) {
  const [text, setText] = useState("");
  const [found, setFound] = useState(/** @type {{of: string, hits: Hit[]}} */ ({ of: "", hits: [] }));
  const [at, setAt] = useState(0);
  const id = useId();
  const input = useRef(/** @type {HTMLInputElement | null} */ (null));
  const asked = text.trim();
  useEffect(() => {
    setAt(0);
    if (!asked || /^as of /i.test(asked)) { setFound({ of: asked, hits: [] }); return; }
    const abort = new AbortController();
    const timer = setTimeout(() => lookUp(asked, abort.signal).then((hits) => { if (!abort.signal.aborted) setFound({ of: asked, hits }); }), 120);
    return () => { clearTimeout(timer); abort.abort(); };
  }, [asked]);
  useEffect(() => input.current?.focus(), []);
  const hits = [...(found.of === asked ? found.hits : []), ...commands(asked)];
  const choose = (/** @type {Hit | undefined} */ hit) => { if (hit) { onClose(); hit.run(); } };
  const key = (/** @type {KeyboardEvent} */ event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      setAt((old) => Math.min(hits.length - 1, Math.max(0, old + (event.key === "ArrowDown" ? 1 : -1))));
    } else if (event.key === "Enter") { event.preventDefault(); choose(hits[at]); }
  };
  return html`<${Dialog} title="Whose is it, or go to" onClose=${onClose} class="finder">
    <label class="vh" for=${id}>Process id, container, instance, URL, host:port, plugin, or a command</label>
    <input id=${id} ref=${input} role="combobox" aria-expanded="true" aria-controls=${id + "l"} aria-activedescendant=${hits[at] ? `${id}o${at}` : undefined} autocomplete="off" spellcheck=${false}
      placeholder="54321 · 4c01db0b339c · i-abcd · https://… · gpu-1:22 · llama · as of 13:40" value=${text} onInput=${(/** @type {any} */ event) => setText(event.target.value)} onKeyDown=${key} />
    <ul id=${id + "l"} role="listbox" aria-label="Answers">${hits.map((hit, i) => html`<li key=${hit.key} id=${`${id}o${i}`} role="option" aria-selected=${i === at} onClick=${() => choose(hit)}>
      <span>${hit.name}</span>${hit.more && html`<small>${hit.more}</small>`}</li>`)}</ul>
    <p class="vh" role="status">${found.of === asked && asked ? `${found.hits.length} found` : ""}</p>
    ${asked && found.of === asked && !found.hits.length && !/^as of/i.test(asked) && html`<p class="soft">No plugin holds or is called “${asked}”.</p>`}
  <//>`;
}
