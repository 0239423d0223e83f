// @ts-check
// Modal dialogs: <dialog> with focus return, and `ask`, which is how every action gets its confirmation.
import { html, signal, useEffect, useId, useRef, useState } from "../lib.js";
import { ApiError } from "../api.js";
import { Trouble } from "./panel.js";

/**
 * @typedef {{name: string, label: string, type?: string, value?: any, required?: boolean, hint?: any, options?: [string, string][], rows?: number,
 *   autocomplete?: string, min?: string | number, max?: string | number, maxlength?: number, placeholder?: string}} Field
 * @typedef {{
 *   title: string, text?: any, fields?: Field[], confirm: string, danger?: boolean, typed?: string | null, cancel?: string,
 *   run?: (values: Record<string, any>) => Promise<any>
 * }} Question
 *   `typed`: this text has to be typed before the button works. `run`: done while the dialog is open; its problem is shown there.
 */

/** @type {import("../lib.js").Sig<{question: Question, answer: (values: any) => void}[]>} */
const open = signal([]);

/**
 * Asks a question and resolves to the values of the fields (with what `run` returned as `result`), or null if it was cancelled.
 * @param {Question} question @returns {Promise<any>}
 */
export function ask(question) {
  return new Promise((answer) => { open.value = [...open.value, { question, answer }]; });
}

/** A `<dialog>` that is open as long as it is drawn. @param {{title: string, onClose: () => void, class?: string, children?: any}} props */
export function Dialog({ title, onClose, class: name = "", children }) {
  const box = useRef(/** @type {HTMLDialogElement | null} */ (null));
  const label = useId();
  useEffect(() => {
    const before = /** @type {HTMLElement | null} */ (document.activeElement);
    box.current?.showModal();
    /** @type {HTMLElement | null} */ (box.current?.querySelector("form :is(input:not([hidden]), textarea, select)") ?? null)?.focus();
    return () => { if (before?.isConnected) before.focus(); };
  }, []);
  return html`<dialog ref=${box} class=${name} aria-labelledby=${label} onCancel=${(/** @type {Event} */ event) => { event.preventDefault(); onClose(); }}>
    <header class="dhead"><h2 id=${label}>${title}</h2><button type="button" class="close" aria-label="Close" onClick=${onClose}>✕</button></header>
    ${children}</dialog>`;
}

/** Draws the questions that are open; main.js has one. */
export function DialogHost() {
  return open.value.map((one) => html`<${Asked} key=${one} question=${one.question} done=${(/** @type {any} */ values) => {
    open.value = open.value.filter((other) => other !== one);
    one.answer(values);
  }} />`);
}

/** @param {{question: Question, done: (values: any) => void}} props */
function Asked({ question, done }) {
  const [values, setValues] = useState(() => Object.fromEntries((question.fields ?? []).map((field) => [field.name, field.value ?? (field.type === "checkbox" ? false : "")])));
  const [typed, setTyped] = useState("");
  const [error, setError] = useState(/** @type {ApiError | null} */ (null));
  const [busy, setBusy] = useState(false);
  const id = useId();
  const ok = !question.typed || typed.trim() === question.typed;
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    if (!ok || busy) return;
    setBusy(true);
    try {
      const result = await question.run?.(values);
      done({ ...values, result });
    } catch (problem) {
      setBusy(false);
      setError(problem instanceof ApiError ? problem : new ApiError({ title: "Not done", status: 0, detail: String(problem) }, null));
    }
  };
  return html`<${Dialog} title=${question.title} onClose=${() => done(null)}><form onSubmit=${submit}>
    ${question.text && html`<div class="text">${question.text}</div>`}
    ${(question.fields ?? []).map((field) => html`<${Input} key=${field.name} field=${field} value=${values[field.name]}
      onChange=${(/** @type {any} */ value) => setValues((old) => ({ ...old, [field.name]: value }))} />`)}
    ${question.typed && html`<p class="field"><label for=${id}>Type <code>${question.typed}</code> to confirm</label>
      <input id=${id} autocomplete="off" spellcheck=${false} value=${typed} onInput=${(/** @type {any} */ event) => setTyped(event.target.value)} /></p>`}
    ${error && html`<${Trouble} error=${error} />`}
    <p class="acts end"><button type="button" onClick=${() => done(null)}>${question.cancel ?? "Cancel"}</button>
      <button class=${question.danger ? "danger" : "primary"} disabled=${!ok || busy}>${busy ? "Working …" : question.confirm}</button></p>
  </form><//>`;
}

/** A labelled field. @param {{field: Field, value: any, onChange: (value: any) => void}} props */
export function Input({ field, value, onChange }) {
  const id = useId();
  const hint = field.hint ? id + "h" : undefined;
  const shared = {
    id, required: field.required, "aria-describedby": hint, autocomplete: field.autocomplete ?? "off", maxlength: field.maxlength,
    placeholder: field.placeholder, onInput: (/** @type {any} */ event) => onChange(event.target.value),
  };
  const control = field.options ? html`<select ...${shared} value=${value}>${field.options.map(([key, label]) => html`<option value=${key}>${label}</option>`)}</select>`
    : field.type === "textarea" ? html`<textarea ...${shared} rows=${field.rows ?? 3} value=${value}></textarea>`
    : field.type === "checkbox" ? html`<input id=${id} type="checkbox" checked=${value} aria-describedby=${hint} onChange=${(/** @type {any} */ event) => onChange(event.target.checked)} />`
    : html`<input ...${shared} type=${field.type ?? "text"} min=${field.min} max=${field.max} step=${field.type === "number" ? "any" : undefined} value=${value} />`;
  return html`<p class=${`field ${field.type === "checkbox" ? "check" : ""}`}><label for=${id}>${field.label}${field.required ? html`<span class="soft"> (needed)</span>` : ""}</label>
    ${control}${field.hint && html`<small id=${hint}>${field.hint}</small>`}</p>`;
}
