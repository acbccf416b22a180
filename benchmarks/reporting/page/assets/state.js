// The view: which run and setting is shown, how, and which implementations may be used. The URL's hash holds it.
"use strict";

const BEST = "best";
const STATE = { run: "", without: [], against: "", show: "time", axis: "", slice: "", sort: "", case: "", theme: "" };
const LISTS = ["without"];
const setting = {};

/** Take the view from the URL's hash; what the data lacks is replaced by what it has. */
function readHash() {
  const known = new URLSearchParams(location.hash.slice(1));
  for (const name of Object.keys(STATE)) {
    const text = known.get(name) ?? "";
    STATE[name] = LISTS.includes(name) ? text.split("/").filter(Boolean) : text;
  }
  for (const field of SETTINGS) setting[field] = known.get(field);
  settle();
}

/** Put the view into the URL's hash. */
function writeHash() {
  const known = new URLSearchParams();
  for (const field of SETTINGS) if (valuesOf(field).length > 1) known.set(field, setting[field]);
  for (const [name, value] of Object.entries(STATE)) {
    const text = LISTS.includes(name) ? value.join("/") : value;
    if (text && !(name === "run" && RUNS.length === 1)) known.set(name, text);
  }
  history.replaceState(null, "", `#${known}`);
}

const currentRun = () => RUNS.find((run) => run.label === STATE.run);

/** The values of a field of settings in the current run. */
function valuesOf(field) {
  const values = [...new Set(currentRun().workloads.map((workload) => workload[field]))];
  if (field === "mode") return DATA.modes.filter((mode) => values.includes(mode));
  return values.every(isNumber) ? d3.sort(values) : values;
}

/** Make the view one that the data has: `first` names the field whose value is kept before all others. */
function settle(first) {
  if (!currentRun()) STATE.run = (RUNS.find((run) => run.workloads.length) ?? RUNS[0]).label;
  let left = currentRun().workloads;
  for (const field of first ? [first, ...SETTINGS.filter((each) => each !== first)] : SETTINGS) {
    const values = valuesOf(field).filter((value) => left.some((workload) => workload[field] === value));
    setting[field] = values.find((value) => String(value) === String(setting[field])) ?? values[0];
    left = left.filter((workload) => workload[field] === setting[field]);
  }
  const names = RUNS.flatMap(namesOf);
  STATE.without = [...new Set(STATE.without)].filter((name) => names.includes(name));
  if (STATE.against !== BEST && !names.includes(STATE.against)) STATE.against = names.includes(DATA.baseline) ? DATA.baseline : BEST;
  if (!(STATE.show in SHOWN)) STATE.show = "time";
  if (STATE.case && !findCase(STATE.case)) STATE.case = "";
}

/** The case of the current run by its ID. */
const findCase = (id) =>
  currentRun()
    .workloads.flatMap((workload) => workload.cases)
    .find((each) => each.id === id);

/** Change the view and draw it: state by name, or a field of settings. */
function change(changes) {
  for (const [name, value] of Object.entries(changes)) {
    if (name in STATE) STATE[name] = value;
    else setting[name] = value;
  }
  settle(SETTINGS.find((field) => field in changes));
  render();
}
