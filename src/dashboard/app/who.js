// @ts-check
// Who is asking, with "Forget token", in every state; and the switch of the colours.
import { html } from "./lib.js";
import { forgetToken, hasToken } from "./token.js";
import { who } from "./store.js";
import { nextTheme, theme } from "./theme.js";
import { shellDialog } from "./keys.js";
import { Age } from "./ui/index.js";

/** Forgets the token and asks everything again without one. */
export function forget() {
  forgetToken();
  location.reload();
}

export function WhoIs() {
  const { name, role, scope, expires_at: expires, tokens } = who.value;
  const parts = [role, ...Object.entries(scope ?? {}).flatMap(([, value]) => (Array.isArray(value) ? value : Object.entries(value ?? {}).map(([k, v]) => `${k}=${v}`)))].filter(Boolean);
  return html`<div class="who">${name && html`<p><strong>${name}</strong></p>`}
    <p><small>${tokens === false ? "no tokens: everyone may do everything" : parts.length ? parts.join(" · ") : hasToken() ? "with a token" : "without a token"}</small></p>
    ${expires && html`<p><small>token ends <${Age} at=${expires} ago /></small></p>`}
    <p class="acts"><button type="button" class="small" title="Light, dark, or as the system says" onClick=${nextTheme}>${({ auto: "◐ auto", dark: "● dark", light: "○ light" })[theme.value]}</button>
      <button type="button" class="small" aria-label="Keys and help" onClick=${() => { shellDialog.value = "help"; }}>?</button>
      ${hasToken() && html`<button type="button" class="small" onClick=${forget}>Forget token</button>`}</p></div>`;
}
