// @ts-check
// The command that ends a resource, for a person to copy: the registry runs none.
import { html } from "./lib.js";
import { has } from "./api.js";
import { Command } from "./ui/index.js";

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
