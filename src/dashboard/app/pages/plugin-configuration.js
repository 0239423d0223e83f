// @ts-check
// The configuration of a plugin as JSON: checked by the server while one types, saved with If-Match.
import { html, useEffect, useId, useState } from "../lib.js";
import { ApiError, path, request } from "../api.js";
import { act } from "../act.js";
import { useQuery } from "../store.js";
import { MASK, hideSecrets, restoreSecrets } from "../secrets.js";
import { ActButton, Note, Panel, Trouble, ask } from "../ui/index.js";

/** What the server says of a text; a text that is no JSON does not reach it. @param {string} id @param {string} text @param {(value: any) => any} whole */
function useVerdict(id, text, whole) {
  const [verdict, setVerdict] = useState(/** @type {{valid: boolean, errors: {pointer: string, detail: string}[]} | null} */ (null));
  useEffect(() => {
    const abort = new AbortController();
    const timer = setTimeout(async () => {
      let value;
      try { value = JSON.parse(text); } catch (error) { setVerdict({ valid: false, errors: [{ pointer: "", detail: `This is no JSON: ${/** @type {Error} */ (error).message}` }] }); return; }
      try {
        const reply = await request(path`/plugins/${id}/config/validate`, { method: "POST", body: whole(value), signal: abort.signal });
        setVerdict(reply.data);
      } catch (error) {
        if (!abort.signal.aborted) setVerdict(error instanceof ApiError ? { valid: false, errors: error.problem.errors ?? [{ pointer: "", detail: error.problem.detail }] } : null);
      }
    }, 300);
    return () => { clearTimeout(timer); abort.abort(); };
  }, [id, text]);
  return verdict;
}

/** @param {{id: string, saved: any, schema: any, etag: string}} props */
function Editor({ id, saved, schema, etag }) {
  const whole = (/** @type {any} */ value) => restoreSecrets(value, schema, saved);
  const [text, setText] = useState(() => JSON.stringify(hideSecrets(saved ?? {}, schema), null, 2));
  const [error, setError] = useState(/** @type {ApiError | null} */ (null));
  const verdict = useVerdict(id, text, whole);
  const field = useId();
  const save = async () => {
    setError(null);
    try { await act({ label: `Saved the configuration of ${id}`, method: "PUT", path: path`/plugins/${id}/config`, body: whole(JSON.parse(text)), etag }); } catch (problem) { if (problem instanceof ApiError) setError(problem); }
  };
  const remove = () => ask({ title: `Delete the configuration of ${id}?`, confirm: "Delete", danger: true, run: () => act({ label: `Deleted the configuration of ${id}`, method: "DELETE", path: path`/plugins/${id}/config`, etag }) });
  return html`<p class="field"><label for=${field}>Configuration, as JSON</label>${text.includes(MASK) && html`<small>${MASK} stands for a saved secret. Leave it, or write another.</small>`}<textarea id=${field} class="code" rows="14" spellcheck=${false} aria-describedby=${field + "v"} aria-invalid=${verdict?.valid === false}
      value=${text} onInput=${(/** @type {any} */ event) => setText(event.target.value)}></textarea></p>
    <div id=${field + "v"} role="status">${verdict && (verdict.valid ? html`<p><span aria-hidden="true">✓ </span>It fits the schema.</p>` : html`<p>It does not fit:</p><ul>${verdict.errors.map((one) => html`<li><code>${one.pointer || "/"}</code> ${one.detail}</li>`)}</ul>`)}</div>
    ${error && html`<${Trouble} error=${error} />`}
    <p class="acts"><${ActButton} kind="primary" onClick=${save}>Save<//>${saved !== null && html`<${ActButton} onClick=${remove}>Delete…<//>`}</p>`;
}

/** @param {{id: string, plugin: any, etag: string}} props */
export default function Tab({ id, plugin, etag }) {
  const query = useQuery(path`/plugins/${id}/config`, { now: true, when: (event) => event.subject === id && event.type.startsWith("config.") });
  const missing = query.error?.status === 404;
  return html`<${Panel} title="Configuration" query=${missing ? { ...query, error: null } : query}>
    ${missing || query.data !== null ? html`${missing && html`<${Note}>No configuration is saved yet.<//>`}<${Editor} key=${plugin.unique_id} id=${id} saved=${missing ? null : query.data} schema=${plugin.config_schema} etag=${etag} />` : query.error ? "" : html`<p class="soft">Loading …</p>`}<//>
    <${Panel} title="Its schema"><pre class="json" tabindex="0">${JSON.stringify(plugin.config_schema, null, 2)}</pre><//>`;
}
