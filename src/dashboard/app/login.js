// @ts-check
// The dialog for a token, which a 401 opens above the page; and who is asking, with "Forget token", in every state.
import { html, useId, useState } from "./lib.js";
import { loginDone, loginNeeded } from "./api.js";
import { forgetToken, getToken, setToken } from "./token.js";
import { readWho, who } from "./store.js";
import { retryNow } from "./live.js";
import { Dialog } from "./ui/index.js";
import { nextTheme, theme } from "./theme.js";
import { shellDialog } from "./keys.js";
import { Age } from "./ui/index.js";

export function Login() {
  const problem = loginNeeded.value;
  return problem && html`<${LoginDialog} problem=${problem} />`;
}

/** @param {{problem: import("./api.js").Problem}} props */
function LoginDialog({ problem }) {
  const [token, setText] = useState("");
  const [remember, setRemember] = useState(false);
  const id = useId();
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    if (!token.trim()) return;
    setToken(token, remember);
    loginDone(true);
    await readWho();
    retryNow();
  };
  const had = getToken() !== null;
  return html`<${Dialog} title=${had ? "This token is not accepted" : "A token, please"} onClose=${() => loginDone(false)} class="login"><form onSubmit=${submit}>
    <p>${had ? problem.detail : "This registry answers only requests with a token. Paste one of yours."}</p>
    <input type="text" autocomplete="username" value="plugin-registry" hidden readonly />
    <p class="field"><label for=${id}>Token</label><input id=${id} type="password" autocomplete="current-password" autofocus spellcheck=${false} value=${token}
      onInput=${(/** @type {any} */ event) => setText(event.target.value)} placeholder="plr_…" /></p>
    <p class="field check"><label for=${id + "r"}>Remember it in this browser</label><input id=${id + "r"} type="checkbox" checked=${remember}
      onChange=${(/** @type {any} */ event) => setRemember(event.target.checked)} /></p>
    <p class="soft">Without this, the token is forgotten when the tab is closed. An admin makes tokens with <code>plugin-registry token create</code>.</p>
    <p class="acts end">${had && html`<button type="button" onClick=${() => { forgetToken(); setText(""); }}>Forget token</button>`}
      <button type="button" onClick=${() => loginDone(false)}>Not now</button><button class="primary" disabled=${!token.trim()}>Use token</button></p>
  </form><//>`;
}

/** Forgets the token and asks everything again without one. */
export function forget() {
  forgetToken();
  location.reload();
}

export function WhoIs() {
  const { name, role, scope, expires_at: expires, tokens } = who.value;
  const parts = [role, ...Object.entries(scope ?? {}).flatMap(([, value]) => (Array.isArray(value) ? value : Object.entries(value ?? {}).map(([k, v]) => `${k}=${v}`)))].filter(Boolean);
  return html`<div class="who">${name && html`<p><strong>${name}</strong></p>`}
    <p><small>${parts.length ? parts.join(" · ") : tokens === false ? "no tokens: everyone may do everything" : getToken() ? "with a token" : "without a token"}</small></p>
    ${expires && html`<p><small>token ends <${Age} at=${expires} ago /></small></p>`}
    <p class="acts"><button type="button" class="small" title="Light, dark, or as the system says" onClick=${nextTheme}>${({ auto: "◐ auto", dark: "● dark", light: "○ light" })[theme.value]}</button>
      <button type="button" class="small" aria-label="Keys and help" onClick=${() => { shellDialog.value = "help"; }}>?</button>
      ${getToken() && html`<button type="button" class="small" onClick=${forget}>Forget token</button>`}</p></div>`;
}
