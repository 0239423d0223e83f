// @ts-check
// The configuration of a plugin: as a form of its schema or as JSON, checked by the server while one types, saved with If-Match.
import { html, useEffect, useId, useState } from "../lib.js";
import { ApiError, path, request } from "../api.js";
import { act } from "../act.js";
import { here, route } from "../router.js";
import { useQuery } from "../store.js";
import { MASK, hideSecrets, restoreSecrets } from "../secrets.js";
import { ConfigForm } from "../config_form/form.js";
import { ActButton, Note, Panel, Table, Trouble, ask } from "../ui/index.js";

/** @typedef {import("../api-types.js").Verdict} Verdict */

/** What the server says of a configuration, 300 ms after the last change. @param {string} id @param {any} value @param {(value: any) => any} whole */
function useVerdict(id, value, whole) {
  const [verdict, setVerdict] = useState(/** @type {Verdict | null} */ (null));
  const text = JSON.stringify(value);
  useEffect(() => {
    const abort = new AbortController();
    const timer = setTimeout(async () => {
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

/** The whole as JSON. A text that is no JSON stays in the field. @param {{value: any, verdict: Verdict | null, onChange: (value: any) => void}} props */
function AsJson({ value, verdict, onChange }) {
  const [text, setText] = useState(() => JSON.stringify(value, null, 2));
  const [wrong, setWrong] = useState("");
  const id = useId();
  const change = (/** @type {any} */ event) => {
    setText(event.target.value);
    try { onChange(JSON.parse(event.target.value)); setWrong(""); } catch (error) { setWrong(`This is no JSON: ${/** @type {Error} */ (error).message}`); }
  };
  return html`<p class="field"><label for=${id}>Configuration, as JSON</label>${text.includes(MASK) && html`<small>${MASK} stands for a saved secret. Leave it, or write another.</small>`}
    <textarea id=${id} class="code" rows="14" spellcheck=${false} aria-describedby=${id + "e"} aria-invalid=${Boolean(wrong) || verdict?.valid === false} value=${text} onInput=${change}></textarea>
    <small id=${id + "e"} class="wrong">${wrong}</small></p>`;
}

/** Another saved it meanwhile: what was there, what is there now, and what stands in the form. @param {{before: any, theirs: any, mine: any, onKeep: () => void, onTake: () => void}} props */
function Conflict({ before, theirs, mine, onKeep, onTake }) {
  const names = [...new Set([before, theirs, mine].flatMap((one) => Object.keys(one ?? {})))].filter((name) => new Set([before, theirs, mine].map((one) => JSON.stringify(one?.[name]))).size > 1);
  const cell = (/** @type {any} */ of) => (/** @type {{name: string}} */ row) => html`<code>${of?.[row.name] === undefined ? "–" : JSON.stringify(of[row.name])}</code>`;
  return html`<div class="trouble" role="alert"><p><strong>It was saved by another client meanwhile.</strong> Nothing of yours is lost.</p>
    <${Table} caption="What differs" rows=${names.map((name) => ({ name }))} id=${(/** @type {any} */ row) => row.name} columns=${[
      { key: "name", title: "Member", head: true, cell: (/** @type {any} */ row) => html`<code>${row.name}</code>` }, { key: "before", title: "When you began", cell: cell(before) },
      { key: "theirs", title: "Saved now", cell: cell(theirs) }, { key: "mine", title: "Yours", cell: cell(mine) }]} />
    <p class="acts"><button type="button" onClick=${onTake}>Take what is saved now</button><button type="button" onClick=${onKeep}>Go on with yours</button></p></div>`;
}

/** What the server said. @param {{verdict: Verdict | null, id: string}} props */
function Said({ verdict, id }) {
  return html`<div id=${id} role="status">${verdict && (verdict.valid ? html`<p><span aria-hidden="true">✓ </span>It fits the schema.</p>`
    : html`<p>It does not fit:</p><ul>${verdict.errors.map((one) => html`<li><code>${one.pointer || "/"}</code> ${one.detail}</li>`)}</ul>`)}</div>`;
}

/** @param {{id: string, saved: any, schema: any, etag: string, reload: () => void}} props */
function Editor({ id, saved, schema, etag, reload }) {
  const [base, setBase] = useState(saved);
  const whole = (/** @type {any} */ one) => restoreSecrets(one, schema, saved);
  const masked = (/** @type {any} */ one) => hideSecrets(one ?? {}, schema);
  const [value, setValue] = useState(() => masked(saved));
  const [error, setError] = useState(/** @type {ApiError | null} */ (null));
  const verdict = useVerdict(id, value, whole);
  const asJson = route.value.query.as === "json";
  const said = useId();
  const same = (/** @type {any} */ one, /** @type {any} */ other) => JSON.stringify(one) === JSON.stringify(other);
  const conflict = !same(saved, base) && !same(masked(saved), value);
  useEffect(() => { if (!same(saved, base) && !conflict) setBase(saved); }, [JSON.stringify(saved)]);
  const save = async () => {
    setError(null);
    try {
      const next = whole(value);
      // The tag belongs to what is saved now, and that must be what the changes began from.
      const now = saved === null ? null : await request(path`/plugins/${id}/config`);
      if (now && !same(now.data, base)) { reload(); return; }
      await act({ label: `Saved the configuration of ${id}`, method: "PUT", path: path`/plugins/${id}/config`, body: next, etag: now?.etag ?? etag });
      setBase(next);
      reload();
    } catch (problem) {
      if (problem instanceof ApiError) setError(problem);
      if (problem instanceof ApiError && problem.status === 412) reload();
    }
  };
  const remove = () => ask({ title: `Delete the configuration of ${id}?`, confirm: "Delete", danger: true, run: async () => { await act({ label: `Deleted the configuration of ${id}`, method: "DELETE", path: path`/plugins/${id}/config`, etag }); reload(); } });
  return html`<p class="acts"><a class="chip" href=${here({ as: null })} aria-current=${asJson ? undefined : "true"}>Form</a><a class="chip" href=${here({ as: "json" })} aria-current=${asJson ? "true" : undefined}>JSON</a></p>
    ${conflict && html`<${Conflict} before=${masked(base)} theirs=${masked(saved)} mine=${value} onKeep=${() => setBase(saved)} onTake=${() => { setBase(saved); setValue(masked(saved)); }} />`}
    ${asJson ? html`<${AsJson} value=${value} verdict=${verdict} onChange=${setValue} />` : html`<${ConfigForm} schema=${schema} value=${value} errors=${verdict?.errors ?? []} onChange=${setValue} />`}
    <${Said} verdict=${verdict} id=${said} />
    ${error && html`<${Trouble} error=${error} />`}
    <p class="acts">${!conflict && html`<${ActButton} kind="primary" onClick=${save}>Save<//>`}${saved !== null && html`<${ActButton} onClick=${remove}>Delete…<//>`}</p>`;
}

/** @param {{id: string, plugin: any, etag: string}} props */
export default function Tab({ id, plugin, etag }) {
  const configured = plugin.is_configured;
  const query = useQuery(configured ? path`/plugins/${id}/config` : null, { now: true, gap: 1_000, when: (event) => event.subject === id && event.type.startsWith("config.") });
  const missing = !configured || query.error?.status === 404;
  return html`<${Panel} title="Configuration" query=${missing ? { ...query, error: null } : query}>
    ${missing || query.data !== null ? html`${missing && html`<${Note}>No configuration is saved yet.<//>`}<${Editor} key=${id + (missing ? "" : "+")} id=${id} saved=${missing ? null : query.data} schema=${plugin.config_schema} etag=${etag} reload=${query.reload} />` : query.error ? "" : html`<p class="soft">Loading …</p>`}<//>
    <${Panel} title="Its schema"><pre class="json" tabindex="0">${JSON.stringify(plugin.config_schema, null, 2)}</pre><//>`;
}
