// @ts-check
// The libraries under one name, so that only this file knows where they are kept.
import { h, render, Component, Fragment } from "../vendor/preact.js";
import { useEffect, useLayoutEffect, useMemo, useRef, useState, useId, useErrorBoundary } from "../vendor/hooks.js";
import { signal, computed, effect, batch, untracked, useSignal, useComputed } from "../vendor/signals.js";
import htm from "../vendor/htm.js";

/**
 * @template T
 * @typedef {import("../vendor/signals.js").Signal<T>} Sig
 */

/** JSX without a compiler: html`<p class="x">${text}</p>`. Text is always text, never markup. */
export const html = htm.bind(h);
export {
  h, render, Component, Fragment, useEffect, useLayoutEffect, useMemo, useRef, useState, useId, useErrorBoundary,
  signal, computed, effect, batch, untracked, useSignal, useComputed,
};
