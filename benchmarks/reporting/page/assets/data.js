// The data of the page: runs, workloads and cases, with the ratios of every two cases of a workload.
"use strict";

const DATA = JSON.parse(document.getElementById("data").textContent);
const SETTINGS = DATA.settings;
const SIZES = DATA.sizes;

const orNaN = (value) => (value === null ? NaN : Number(value === "inf" ? Infinity : value));
const estimateOf = ([median, low, high]) => ({ median: orNaN(median), low: orNaN(low), high: orNaN(high) });

/** One run of `data` with its rows as objects: each case knows its workload, each workload its run. */
function readRun(run, data) {
  const workloads = run.workloads.map((raw) => {
    const workload = { ...raw, run: run.label };
    workload.cases = raw.cases.map((row, at) => readCase(row, at, workload, data));
    workload.ratios = new Map(raw.ratios.map(([above, below, ...bounds]) => [`${above}/${below}`, estimateOf(bounds)]));
    return workload;
  });
  return { ...run, workloads };
}

function readCase(row, at, workload, data) {
  const fields = Object.fromEntries(
    data.case_columns.map((name, column) => [name, data.text_columns.includes(name) ? row[column] : orNaN(row[column])]),
  );
  const errors = [fields.error_output, fields.error_gradient].filter((each) => !Number.isNaN(each));
  return {
    ...fields,
    id: `${fields.implementation}/${workload.id}`,
    workload,
    at,
    blocks: workload.blocks[at],
    measured: !Number.isNaN(fields.median_seconds),
    error: errors.length ? Math.max(...errors) : NaN,
    preparation: fields.setup_seconds + fields.first_call_seconds,
  };
}

const RUNS = DATA.runs.map((run) => readRun(run, DATA));

/** The time of one case over that of another of its workload, over blocks that took turns. */
function timeRatio(above, below) {
  if (above === below) return { median: 1, low: 1, high: 1 };
  const found = above.workload.ratios.get(`${above.at}/${below.at}`);
  if (found) return found;
  const { median, low, high } = below.workload.ratios.get(`${below.at}/${above.at}`);
  return { median: 1 / median, low: 1 / high, high: 1 / low };
}

/** The case of an implementation on a workload, whether it has a time or not. */
const caseOf = (workload, name) => workload.cases.find((each) => each.implementation === name);

/** The names of a run's implementations, in the order in which they were first measured. */
const namesOf = (run) => [...new Set(run.workloads.flatMap((workload) => workload.cases.map((each) => each.implementation)))];

/** The settings of a run's workloads, as `findings.settings` orders them: modes within each combination of the rest. */
function settingsOf(run) {
  const rest = SETTINGS.filter((field) => field !== "mode");
  const groups = d3.group(run.workloads, (workload) => JSON.stringify(rest.map((field) => workload[field])));
  return [...groups.values()].flatMap((workloads) =>
    DATA.modes
      .filter((mode) => workloads.some((each) => each.mode === mode))
      .map((mode) => Object.fromEntries(SETTINGS.map((field) => [field, field === "mode" ? mode : workloads[0][field]]))),
  );
}

/** The workloads of a run in one setting, in the order of the run. */
const membersOf = (run, setting) =>
  run.workloads.filter((workload) => SETTINGS.every((field) => workload[field] === setting[field]));

/** The value of a field in words. */
function valueLabel(field, value) {
  if (field === "threads") return count(value, "thread");
  return DATA.labels[field]?.[value] ?? (String(value) || "usual");
}

/** The label of a setting by the fields in which the settings of some runs differ. */
function settingLabel(setting, among) {
  const shown = SETTINGS.filter((field) => field === "mode" || new Set(among.map((each) => each[field])).size > 1);
  const order = shown.includes("cell") ? ["cell", ...shown.filter((field) => field !== "cell")] : shown;
  return order.map((field) => valueLabel(field, setting[field])).join(", ");
}
