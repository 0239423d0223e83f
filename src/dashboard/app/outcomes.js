// @ts-check
// What was done in this session: a line in place, with Undo or Repeat, until it is dismissed.
import { html } from "./lib.js";
import { dismiss, outcomes, repeat, undo } from "./act.js";
import { Trouble } from "./ui/index.js";

export function Outcomes() {
  if (!outcomes.value.length) return null;
  return html`<section class="outcomes" aria-label="What was done">${outcomes.value.map((one) => html`<div key=${one.id} class=${`banner ${one.error ? "bad" : "ok"}`} data-outcome>
    <div class="grow" role="status">${one.busy ? html`<p>Working …</p>` : one.error
      ? html`<p><strong>It is not known whether this was done:</strong> ${one.action.label}</p><${Trouble} error=${one.error} />`
      : html`<p><span aria-hidden="true">✓ </span>${one.action.label}${one.reply?.headers.get("registry-revision") ? html`<small> revision ${one.reply.headers.get("registry-revision")}</small>` : ""}</p>`}</div>
    ${one.error && one.key && html`<button type="button" disabled=${one.busy} onClick=${() => repeat(one)}>Repeat safely</button>`}
    ${!one.error && one.action.undo && html`<button type="button" onClick=${() => undo(one)}>Undo</button>`}
    <button type="button" onClick=${() => dismiss(one.id)}>Dismiss</button></div>`)}</section>`;
}
