// @ts-check
import { html } from "../lib.js";
import { base } from "../api.js";
import { EmptyState } from "../ui/index.js";

export default function View() {
  return html`<h1>Admin</h1><${EmptyState} title="This page is not part of this version."><p>The <a href=${new URL("docs/", base).href}>API browser</a> has what it would show.</p><//>`;
}
