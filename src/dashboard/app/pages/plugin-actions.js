// @ts-check
// What a person does with a plugin: status, labels, delete (with force only after a refusal, and its name typed), ask to stop.
import { html } from "../lib.js";
import { ApiError, etagOf, path, takesReasons } from "../api.js";
import { act } from "../act.js";
import { askToStop } from "../actions.js";
import { canAskToStop } from "../stopping.js";
import { go, href } from "../router.js";
import { ActButton, ask } from "../ui/index.js";

/** @type {() => import("../ui/dialog.js").Field[]} */
const reason = () => (takesReasons() ? [{ name: "reason", label: "Reason, kept in the history", maxlength: 500 }] : []);
const MERGE = "application/merge-patch+json";

/** `key=value` lines. @param {string} text @returns {Record<string, string>} */
export function parseLabels(text) {
  return Object.fromEntries(text.split("\n").map((line) => line.trim()).filter(Boolean).map((line) => {
    const at = line.indexOf("=");
    return at < 0 ? [line, ""] : [line.slice(0, at).trim(), line.slice(at + 1).trim()];
  }));
}

/** What a merge patch needs, so that the labels become those of `next`. @param {Record<string, string>} old @param {Record<string, string>} next */
export const labelPatch = (old, next) => ({ ...Object.fromEntries(Object.keys(old).filter((key) => !(key in next)).map((key) => [key, null])), ...next });

/** @param {any} plugin */
function editLabels(plugin) {
  const old = plugin.labels ?? {};
  return ask({
    title: "Labels", fields: [{ name: "labels", label: "One key=value in a line", type: "textarea", rows: 6, value: Object.entries(old).map(([key, value]) => `${key}=${value}`).join("\n") }, ...reason()], confirm: "Save labels",
    run: (values) => {
      const next = parseLabels(values.labels);
      return act({
        label: `Changed the labels of ${plugin.unique_id}`, method: "PATCH", path: path`/plugins/${plugin.unique_id}`, body: { labels: labelPatch(old, next) }, type: MERGE, etag: etagOf(plugin), reason: values.reason,
        undo: { label: `Restored the labels of ${plugin.unique_id}`, method: "PATCH", path: path`/plugins/${plugin.unique_id}`, body: { labels: labelPatch(next, old) }, type: MERGE },
      });
    },
  });
}

/** @param {any} plugin */
function setStatus(plugin) {
  const before = plugin.remote_resource.status;
  const patch = (/** @type {string} */ status) => ({ method: "PATCH", path: path`/plugins/${plugin.unique_id}/remote_resource`, body: { status }, type: MERGE });
  return ask({
    title: "Status of the machine", fields: [{ name: "status", label: "Status, as the provider calls it", value: before, required: true, hint: "The registry writes it down; it starts and stops nothing." }, ...reason()], confirm: "Set status",
    run: (values) => act({
      ...patch(values.status), label: `Set the status of ${plugin.unique_id} to ${values.status}`, etag: etagOf(plugin), reason: values.reason,
      undo: { ...patch(before), label: `Set the status of ${plugin.unique_id} back to ${before}` },
    }),
  });
}

/** @param {any} plugin @param {boolean} force @param {any} [refused] why it was refused without force */
async function remove(plugin, force, refused) {
  const id = plugin.unique_id;
  const done = await ask({
    title: force ? `Delete ${id} although it holds something?` : `Delete ${id}?`,
    text: force ? html`<p><strong>${refused?.detail}</strong></p>${refused?.errors?.length ? html`<ul class="plain">${refused.errors.map((/** @type {any} */ one) => html`<li><code>${one.pointer}</code> ${one.detail}</li>`)}</ul>` : ""}<p>What it holds goes on running and billing, and the registry no longer knows of it.</p>`
      : html`<p>Its document and its configuration are removed. Its history stays.</p>`,
    fields: reason(), confirm: force ? "Delete by force" : "Delete", danger: true, typed: force ? id : null,
    run: async (values) => {
      try {
        return await act({ label: `Deleted ${id}`, method: "DELETE", path: path`/plugins/${id}` + (force ? "?force=true" : ""), etag: etagOf(plugin), reason: values.reason });
      } catch (error) {
        if (!force && error instanceof ApiError && error.status === 409) return { refused: error.problem };
        throw error;
      }
    },
  });
  if (done?.result?.refused) remove(plugin, true, done.result.refused);
  else if (done) go(href("/plugins"));
}

/** @param {{plugin: any}} props */
export function PluginActions({ plugin }) {
  return html`<p class="acts">${canAskToStop() && html`<${ActButton} onClick=${() => askToStop(plugin.unique_id)}>Ask to stop…<//>`}
    ${plugin.remote_resource && html`<${ActButton} onClick=${() => setStatus(plugin)}>Status…<//>`}
    <${ActButton} onClick=${() => editLabels(plugin)}>Labels…<//><${ActButton} onClick=${() => remove(plugin, false)}>Delete…<//></p>`;
}
