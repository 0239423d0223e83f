// @ts-check
// What was spent in each part of a time. The registry adds up one time at a question, so each bar is a question; what is past is asked once.
import { useEffect, useState } from "../lib.js";
import { ApiError, get, withQuery } from "../api.js";

/** At most so many bars: each is a request. */
const MOST = 31;
const BESIDE = 4;
const HOUR = 3600;
const DAY = 24 * HOUR;
const STEPS = [300, 900, HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 7 * DAY, 30 * DAY];

/** The bars of a time: their length, and where each begins. @param {number} from @param {number} to in seconds */
export function bars(from, to) {
  const step = STEPS.find((one) => (to - from) / one <= MOST - 1) ?? Math.ceil((to - from) / (MOST - 1));
  const first = Math.floor(from / step) * step;
  const times = [];
  for (let at = first; at < to; at += step) times.push(at);
  return { step, times };
}

/** Answers of times that are over. @type {Map<string, import("../api-types.js").Costs>} */
const known = new Map();

/** @param {number} at in seconds */
export const iso = (at) => new Date(at * 1000).toISOString().slice(0, 19) + "Z";

/**
 * @param {Record<string, any>} asked filters and `group_by` @param {number} from @param {number} to in seconds @param {number} now in seconds; a change asks for the newest again
 * @returns {{step: number, times: number[], answers: import("../api-types.js").Costs[] | null, error: ApiError | null}}
 */
export function useSeries(asked, from, to, now) {
  const { step, times } = bars(from, Math.min(to, now));
  const [state, setState] = useState(/** @type {{of: string, answers: import("../api-types.js").Costs[] | null, error: ApiError | null}} */ ({ of: "", answers: null, error: null }));
  const of = JSON.stringify([asked, times, step]);
  useEffect(() => {
    const abort = new AbortController();
    const paths = times.map((at) => withQuery("/costs", { ...asked, from: iso(Math.max(at, from)), to: iso(Math.min(at + step, to, now)) }));
    const answers = new Array(times.length);
    let next = 0;
    const work = async () => {
      while (next < paths.length) {
        const at = next++;
        answers[at] = known.get(paths[at]) ?? await get(paths[at], { signal: abort.signal });
        if (times[at] + step < now) known.set(paths[at], answers[at]);
      }
    };
    if (known.size > 1000) known.clear();
    Promise.all(Array.from({ length: BESIDE }, work)).then(
      () => setState({ of, answers, error: null }),
      (error) => { if (!abort.signal.aborted && error instanceof ApiError) setState({ of, answers: null, error }); },
    );
    return () => abort.abort();
  }, [of, Math.floor(now / 60)]);
  return { step, times, answers: state.of === of ? state.answers : null, error: state.of === of ? state.error : null };
}

/** The dearest groups over all bars, and the rest as one. @param {import("../api-types.js").Costs[]} answers @param {number} most @returns {{label: string, values: number[]}[]} */
export function groupsOf(answers, most) {
  /** @type {Map<string, number[]>} */
  const groups = new Map();
  answers.forEach((answer, at) => {
    const parts = answer.groups?.length ? answer.groups : [{ key: "all", accrued: answer.accrued }];
    for (const { key, accrued } of parts) {
      const label = key ?? "without";
      if (!groups.has(label)) groups.set(label, new Array(answers.length).fill(0));
      /** @type {number[]} */ (groups.get(label))[at] += accrued?.high_usd ?? 0;
    }
  });
  const all = [...groups].map(([label, values]) => ({ label, values, sum: values.reduce((one, other) => one + other, 0) })).filter(({ sum }) => sum > 0).sort((one, other) => other.sum - one.sum);
  const rest = all.slice(most);
  const shown = all.slice(0, most).map(({ label, values }) => ({ label, values }));
  if (rest.length) shown.push({ label: `${rest.length} more`, values: answers.map((_, at) => rest.reduce((sum, { values }) => sum + values[at], 0)) });
  return shown;
}
