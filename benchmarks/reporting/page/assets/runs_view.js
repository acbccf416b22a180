// Several runs side by side: the answer of each in every setting, and what differs between them.
"use strict";

/** The settings of all runs, each once. */
const allSettings = () => [...new Map(RUNS.flatMap(settingsOf).map((each) => [JSON.stringify(each), each])).values()];

function drawRuns() {
  $("runs-section").hidden = RUNS.length < 2;
  if (RUNS.length < 2) return;
  const settings = allSettings();
  const without = withoutSet();
  const answers = settings.map((each) => RUNS.map((run) => answerOf(run, membersOf(run, each), without)));
  const heads = RUNS.map((run) => make("th", { scope: "col", "aria-current": run.label === STATE.run ? "true" : null }, run.label, make("small", {}, run.machine)));
  const rows = settings.map((each, at) => {
    const text = settingLabel(each, settings);
    const cells = RUNS.map((run, column) => make("td", {}, runCell(run, each, answers[at][column])));
    return make("tr", {}, make("th", { scope: "row" }, text), cells);
  });
  $("runs").replaceChildren(make("thead", {}, make("tr", {}, make("td", {}), heads)), make("tbody", {}, rows));
  $("differences").replaceChildren(...differences(settings, answers).map((line) => make("li", {}, ...line)));
}

/** The answer of a run in one setting; the button shows it. */
function runCell(run, each, answer) {
  if (!answer) return NOTHING;
  const key = `run:${run.label}:${JSON.stringify(each)}`;
  const button = make("button", { type: "button", class: "plain", "data-key": key, onclick: () => change({ run: run.label, ...each }) }, strong(fastestWords(answer)));
  if (isUnknown(answer)) return [button];
  const base = answer.againstBaseline && answer.baseline !== answer.fastest ? `${shortRatio(answer.againstBaseline)} ${answer.baseline}` : "";
  const best = answer.leads.length ? `${shortRatio(answer.againstBestOther)} the best other` : "";
  const sure = answer.known ? `surely fastest on ${answer.sure.length} of ${answer.workloads.length}` : "";
  return [button, make("small", {}, [base, best, sure].filter(Boolean).join("; "))];
}

/** Sentences on what differs: the choice in a setting, and the times of each implementation. */
function differences(settings, answers) {
  const found = [];
  settings.forEach((each, at) => {
    const known = RUNS.map((run, column) => [run.label, answers[at][column]]).filter(([, answer]) => answer?.leads.length);
    const choices = known.map(([run, answer]) => [run, isUnknown(answer) ? [UNKNOWN] : [answer.fastest, ...answer.close]]);
    const first = choices[0]?.[1][0];
    if (choices.some(([, names]) => names.length > 1 || names[0] !== first)) {
      const parts = choices.flatMap(([run, names], part) => [part ? "; " : "", strong(names.join(" ≈ ")), ` in ${run}`]);
      found.push([`${settingLabel(each, settings)}: `, ...parts, "."]);
    }
  });
  if (!found.length) found.push(["The answer is the same in every setting that the runs share."]);
  const [one, ...rest] = RUNS;
  for (const other of rest) {
    const ratios = sharedRatios(one, other);
    if (!ratios.length) continue;
    const parts = ratios.map(([name, ratio, number]) => `${name} ${times(ratio)} (${number})`);
    found.push([`Time in ${other.label} over time in ${one.label}, geometric mean of the cases that both measured: ${parts.join(", ")}.`]);
  }
  return found;
}

/** [implementation, geometric mean of new time over old time, number of cases] that two runs share, the least first. */
function sharedRatios(one, other) {
  const times_ = new Map(one.workloads.flatMap((workload) => workload.cases).filter((each) => each.measured).map((each) => [each.id, each.median_seconds]));
  const both = other.workloads.flatMap((workload) => workload.cases).filter((each) => each.measured && times_.has(each.id) && !STATE.without.includes(each.implementation));
  const groups = d3.rollup(both, (cases) => [geometricMean(cases.map((each) => each.median_seconds / times_.get(each.id))), cases.length], (each) => each.implementation);
  return d3.sort([...groups].map(([name, [ratio, number]]) => [name, ratio, number]), ([, ratio]) => ratio);
}
