// @ts-check
// The command that ends a resource, for a person to copy: the registry runs none.
import { html } from "./lib.js";
import { has } from "./api.js";
import { Age, Command, Note, Time } from "./ui/index.js";

/** @typedef {import("./findings.js").Row} Row */

/** A command that ends the resource, for a person to copy; null where the provider's own page is the only sure way. @param {Row} row */
export function stopCommand(row) {
  const id = String(row.id ?? "");
  if (!/^[\w.:/@-]+$/.test(id)) return null;
  if (row.kind === "process") return `kill ${id}`;
  if (row.kind === "container") return `docker stop ${id}`;
  if (row.provider === "aws" && id.startsWith("i-")) return `aws ec2 terminate-instances --instance-ids ${id}`;
  if (row.provider === "gcp") return `gcloud compute instances delete ${id}`;
  if (row.provider === "runpod") return `runpodctl remove pod ${id}`;
  if (row.provider === "vast_ai") return `vastai destroy instance ${id}`;
  return null;
}

/** The command that a person runs, in a box of its own. @param {{rows: Row[]}} props */
export function StopCommand({ rows }) {
  const [row] = rows;
  const ids = rows.map(stopCommand);
  if (row.observed?.state === "gone" || row.observed?.state === "reused" || ids.includes(null)) return null;
  const command = rows.length > 1 ? `kill ${rows.map(({ id }) => id).join(" ")}` : ids[0];
  return html`<${Command}>${row.host && row.kind !== "remote" && /^[\w.-]+$/.test(row.host) ? `ssh ${row.host} ${command}` : command}<//>`;
}

/** Whether the server can pass on the wish that an application stops. */
export const canAskToStop = () => has("POST /plugins/{id}/stop_request");

/** Who, for what has a caller. @param {{by: string | null}} props */
const By = ({ by }) => html`<em>${by ?? "a client without a token"}</em>`;

/** @param {{request: any}} props */
const Wish = ({ request }) => html`asked <${Age} at=${request.at} ago /> by <${By} by=${request.by} />${request.reason ? html`: “${request.reason}”` : ""}`;

/** The wish that a plugin stops: while nothing has answered, and what was answered. @param {{plugin: any}} props */
export function StopState({ plugin: { stop_requested: request, stop_answer: answer } }) {
  if (request) {
    return html`<${Note} tone="warn">◑ <strong>Asked to stop, not answered yet</strong>: <${Wish} request=${request} />.
      ${request.deadline ? html` It should have stopped by <${Time} at=${request.deadline} seconds />.` : ""} The registry stops nothing.<//>`;
  }
  return answer ? html`<${Note}><strong>Asked to stop, answered: ${String(answer.answer).replaceAll("_", " ")}</strong>${answer.detail ? html` “${answer.detail}”` : ""}, <${Age} at=${answer.at} ago /> by <${By} by=${answer.by} /> (<${Wish} request=${answer.request} />).<//>` : null;
}
