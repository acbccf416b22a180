// The bar that chooses what is shown: run, setting, baseline, value, and the implementations that may be used.
"use strict";

/** What a case can show: its words, its value for a case, and its text. */
const SHOWN = {
  time: { words: "time of a call", value: (each) => each.median_seconds, text: seconds },
  ratio: { words: "times as fast as the baseline", value: (each) => againstOf(each)?.median ?? NaN, text: times },
  limit: { words: "share of the machine's limit", value: (each) => each.share_of_attainable, text: share },
  error: { words: "largest error", value: (each) => each.error, text: errorText },
};

const withoutSet = () => new Set(STATE.without);
const againstWords = () => (STATE.against === BEST ? "the best of the others" : STATE.against);

/** The time of the baseline of the view over that of a case; undefined where the baseline has no time. */
function againstOf(each) {
  const { workload } = each;
  const other =
    STATE.against === BEST
      ? fastestOf(contenders(workload, withoutSet()).filter((one) => one.source !== each.source))
      : caseOf(workload, STATE.against);
  return other?.measured ? timeRatio(other, each) : undefined;
}

function drawFilters() {
  const names = namesOf(currentRun());
  const rows = [];
  if (RUNS.length > 1) {
    rows.push(dropdown("run", "run", RUNS.map((run) => [run.label, [run.label, run.machine].filter(Boolean).join(" · ")]), STATE.run, (run) => change({ run })));
  }
  for (const field of SETTINGS) {
    const values = valuesOf(field);
    if (values.length < 2) continue;
    const options = values.map((value) => [value, valueLabel(field, value)]);
    rows.push(choice(field, options, setting[field], (value) => change({ [field]: value })));
  }
  const baselines = [BEST, ...names].map((name) => [name, name === BEST ? "the best of the others" : name]);
  rows.push(dropdown("against", "against", baselines, STATE.against, (against) => change({ against })));
  const values = Object.entries(SHOWN).map(([name, each]) => [name, each.words]);
  rows.push(dropdown("show", "show", values, STATE.show, (show) => change({ show })));
  $("filters").replaceChildren(...rows);
  $("engines").replaceChildren(...names.map(engineButton));
}

function engineButton(name) {
  const isOut = STATE.without.includes(name);
  return make(
    "button",
    {
      type: "button",
      "data-key": `engine:${name}`,
      "aria-pressed": String(!isOut),
      title: isOut ? "set aside: choose it to take it in again" : "choose it to set it aside",
      onclick: () => change({ without: isOut ? STATE.without.filter((each) => each !== name) : [...STATE.without, name] }),
    },
    name,
  );
}
