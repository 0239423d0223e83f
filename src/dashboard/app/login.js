// @ts-check
// The dialog for a token, which a 401 opens above the page.
import { html, useId, useState } from "./lib.js";
import { loginDone } from "./api.js";
import { forgetToken, getToken, setToken } from "./token.js";
import { readWho } from "./store.js";
import { retryNow } from "./live.js";
import { Dialog } from "./ui/index.js";

/** @param {{problem: import("./api.js").Problem}} props */
export default function Login({ problem }) {
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
