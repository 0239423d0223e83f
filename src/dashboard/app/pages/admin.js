// @ts-check
// What an admin sets: budgets, webhooks, tokens, and the log level; and how the service is.
import { html } from "../lib.js";
import { who } from "../store.js";
import { Note } from "../ui/index.js";
import { Budgets } from "./admin-budgets.js";
import { Webhooks } from "./admin-webhooks.js";
import { Tokens } from "./admin-tokens.js";
import { LogLevel, Service } from "./admin-service.js";

export default function View() {
  const { role } = who.value;
  const isAdmin = !role || role === "admin";
  return html`<h1>Admin</h1>
    ${!isAdmin && html`<${Note}>The role ${role} sees budgets and the service. Webhooks, tokens and the log level are for admins.<//>`}
    <${Budgets} />
    ${isAdmin && html`<${Webhooks} /><${Tokens} /><${LogLevel} />`}
    <${Service} />`;
}
