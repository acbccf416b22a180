// A packed run of someone else, taken in as data: `pack` writes it, and benchmarks/runs/packing.py describes it.
"use strict";

const MOST_LETTERS = 2 ** 26;

/** The first lines of a file compressed by gzip; what follows is not unpacked. */
async function firstLines(file, number) {
  const reader = file.stream().pipeThrough(new DecompressionStream("gzip")).pipeThrough(new TextDecoderStream()).getReader();
  const lines = [""];
  let letters = 0;
  while (lines.length <= number) {
    const { value, done } = await reader.read();
    if (done) break;
    letters += value.length;
    if (letters > MOST_LETTERS) throw new Error("it is too large");
    const [first, ...more] = value.split("\n");
    lines[lines.length - 1] += first;
    lines.push(...more);
  }
  await reader.cancel();
  return lines.slice(0, number);
}

/** The data of a page in a packed run. Throws a sentence where they are not what this page shows. */
function readPacked(text) {
  const data = JSON.parse(text)?.page;
  if (data?.schema !== DATA.schema) throw new Error("another version packed it: make a page by `report` of both");
  for (const name of ["settings", "sizes"]) {
    if (String(data[name]) !== String(DATA[name])) throw new Error("another version packed it: make a page by `report` of both");
  }
  const isTexts = (values) => Array.isArray(values) && values.every((value) => typeof value === "string");
  const isWell =
    isTexts(data.case_columns) &&
    isTexts(data.text_columns) &&
    DATA.case_columns.every((name) => data.case_columns.includes(name)) &&
    Array.isArray(data.runs) &&
    data.runs.every(
      (run) =>
        isTexts([run.label, run.machine, run.commit, run.date]) &&
        isTexts(run.cautions) &&
        isTexts(run.problems) &&
        run.facts.every(isTexts) &&
        Object.values(run.once).every(isNumber) &&
        run.workloads.every((workload) => isWorkload(workload, data, isTexts)),
    );
  if (!isWell) throw new Error("its data are not those of a page");
  return data;
}

function isWorkload(workload, data, isTexts) {
  const isRow = (row) => row.length === data.case_columns.length && data.case_columns.every((name, at) => isField(row[at], data.text_columns.includes(name)));
  const isBlocks = (blocks) => blocks.every(([round, medians]) => Number.isInteger(round) && medians.every(isNumber));
  const number = workload.cases.length;
  const measured = d3.sum(workload.cases, (row) => isNumber(row[data.case_columns.indexOf("median_seconds")]));
  return (
    isTexts([workload.id, workload.name, workload.measure]) &&
    workload.cases.every(isRow) &&
    workload.blocks.length === number &&
    workload.blocks.every(isBlocks) &&
    workload.ratios.length === (measured * (measured - 1)) / 2 &&
    workload.ratios.every(([above, below, ...bounds]) => above < number && below < number && bounds.length === 3 && bounds.every((value) => isField(value, false)))
  );
}

/** Whether a value is what a column of texts or of numbers holds; nothing is known of a null. */
const isField = (value, isText) => value === null || (isText ? typeof value === "string" : isNumber(value) || value === "inf");

/** The label, with a number where a run of the page has it already. */
function freeLabel(label) {
  const isTaken = (text) => RUNS.some((run) => run.label === text);
  let free = label;
  for (let number = 2; isTaken(free); number++) free = `${label} (${number})`;
  return free;
}

/** Take a packed run in and show it; say why where it cannot be. */
async function addFile(file) {
  if (!file) return;
  $("refused").hidden = true;
  try {
    const [, text] = await firstLines(file, 2);
    const data = readPacked(text);
    for (const run of data.runs) {
      const label = freeLabel(run.label);
      RUNS.push(readRun({ ...run, label }, data));
      change({ run: label });
    }
  } catch (error) {
    $("refused").textContent = `${file.name} is not taken in: ${error.message}`;
    $("refused").hidden = false;
  }
  $("add-file").value = "";
}
