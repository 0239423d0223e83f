// @ts-check
// The service: its version, its store, what it sees of its host, its log level, and what else it serves.
import { html, useState } from "../lib.js";
import { ApiError, base } from "../api.js";
import { act } from "../act.js";
import { ready, slow, useQuery } from "../store.js";
import { revision, server } from "../live.js";
import { ActButton, Badge, EmptyState, Panel, Time, Trouble } from "../ui/index.js";
import { count, span } from "../format.js";

export function LogLevel() {
  const query = useQuery("/log-level", { now: true });
  const [level, setLevel] = useState("");
  const [error, setError] = useState(/** @type {ApiError | null} */ (null));
  const save = async () => {
    setError(null);
    const before = query.data?.level;
    const put = (/** @type {string} */ to) => ({ label: `Set the log level to ${to}`, need: /** @type {"admin"} */ ("admin"), method: "PUT", path: "/log-level", body: { level: to }, plain: true });
    try {
      await act({ ...put(level.trim()), undo: before ? put(before) : null });
      setLevel("");
      query.reload();
    } catch (problem) { if (problem instanceof ApiError) setError(problem); }
  };
  return html`<${Panel} title="Log level" query=${query}>${(/** @type {import("../api-types.js").Level} */ data) => html`
    <p>This process logs <code>${data.level}</code>. A new level holds until the process ends.</p>
    <form class="filters" onSubmit=${(/** @type {Event} */ event) => { event.preventDefault(); save(); }}>
      <label>New level<input value=${level} maxlength="1024" placeholder="info, or warn,plugin_registry::http=debug" onInput=${(/** @type {any} */ event) => setLevel(event.target.value)} /></label>
      <${ActButton} need="admin" onClick=${save}>Set level<//></form>
    ${error && html`<${Trouble} error=${error} />`}`}<//>`;
}

/** What the registry can see of its own host. @param {{sight: import("../api-types.js").Point[]}} props */
function Sight({ sight }) {
  if (!sight.length) return html`<${EmptyState} title="The registry does not probe its own host."><p>Agents on the hosts do. The page of hosts has what each sees.</p><//>`;
  return html`<dl class="facts">${sight.map(({ what, visible, detail, advice }) => html`<dt><${Badge} tone=${visible ? "ok" : "warn"} shape=${visible ? "●" : "◆"}>${what}<//></dt>
    <dd>${visible ? "seen" : "not seen"}: ${detail}${advice ? html`<br /><span class="soft">${advice}</span>` : ""}</dd>`)}</dl>`;
}

export function Service() {
  /** @type {import("../api-types.js").Readiness | null} */
  const state = ready.value;
  const at = (/** @type {string} */ path) => new URL(path, base).href;
  const since = state?.since ? span((slow.value - Date.parse(state.since)) / 1000) : "";
  return html`<${Panel} title="Service"><dl class="facts">
      <dt>Writes</dt><dd>${state?.status === "ready" ? html`<${Badge} tone="ok" shape="●">taken<//>` : html`<${Badge} tone="bad" shape="▲">${state?.status === "read_only" ? "refused" : "not known"}<//> ${state?.reason ?? ""} ${since && `for ${since}`}`}</dd>
      <dt>Version</dt><dd>${state?.version ?? (server.value.version || "–")}</dd>
      <dt>Store</dt><dd><code>${server.value.store || "–"}</code></dd>
      <dt>Revision</dt><dd>${count(Math.max(revision.value, state?.revision ?? 0))}, with ${count(state?.plugins)} plugins</dd>
      ${state?.since && html`<dt>Since</dt><dd><${Time} at=${state.since} seconds /></dd>`}
      <dt>More</dt><dd class="acts"><a href=${at("docs/")}>API browser</a> <a href=${at("openapi.json")}>OpenAPI description</a> <a href=${at("metrics")}>Metrics</a> <a href=${new URL("../../vendor/licences.txt", import.meta.url).href}>Licences of this page</a></dd>
    </dl><//>
    <${Panel} title="What the registry sees of its host"><${Sight} sight=${state?.sight ?? []} /><//>`;
}
