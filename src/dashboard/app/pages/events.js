// @ts-check
import { html } from "../lib.js";

/** @param {{route: import("../router.js").Route}} props */
export default function View({ route }) {
  return html`<h1>events</h1>`;
}
