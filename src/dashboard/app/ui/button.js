// @ts-check
// A button of an action: left out if the caller may never do it, off with the reason while it is not possible.
import { html } from "../lib.js";
import { hidden, refusal } from "../act.js";

/** @param {{need?: import("../act.js").Need, kind?: "" | "primary" | "danger" | "small", mark?: string, onClick: () => void, children?: any}} props
 *   `mark`: what a key presses, such as "release". */
export function ActButton({ need = "write", kind = "", mark, onClick, children }) {
  if (hidden(need)) return null;
  const why = refusal(need);
  return html`<button type="button" class=${kind} data-do=${mark} aria-disabled=${why ? "true" : undefined} title=${why ?? undefined}
    onClick=${() => { if (!why) onClick(); }}>${children}</button>`;
}
