// The page: drawn from the view, again after every change of it.
"use strict";

/** The role of an implementation, which gives its colour: the answer, the next, the baseline, or another. */
function roleOf(name, answer) {
  const isKnown = answer && !isUnknown(answer);
  if (isKnown && name === answer.fastest) return "answer";
  if (name === (STATE.against === BEST ? DATA.baseline : STATE.against)) return "base";
  return isKnown && name === answer.alternative?.fastest ? "second" : "other";
}

function render() {
  writeHash();
  drawTheme();
  const without = withoutSet();
  const workloads = membersOf(currentRun(), setting);
  const answer = answerOf(currentRun(), workloads, without);
  const rows = rankingOf(workloads, without).map((row) => ({ ...row, role: roleOf(row.name, answer) }));
  keepingFocus(() => {
    drawHeader();
    drawFilters();
    drawAnswer(answer);
    drawSettings();
    drawRuns();
    drawRanking(rows, workloads);
    drawHeat(workloads, rows, without);
    drawScaling(workloads, rows);
    drawFacts();
  });
  drawCase();
}

function drawHeader() {
  const run = currentRun();
  const parts = [run.machine, run.commit && `commit ${run.commit.slice(0, 10)}${run.commit.slice(40)}`, run.date];
  const isUsual = (field) => setting[field] === "" || (field === "precision" && setting[field] === "ieee");
  const fixed = SETTINGS.filter((field) => valuesOf(field).length === 1 && !isUsual(field));
  parts.push(...fixed.map((field) => valueLabel(field, setting[field])));
  $("place").textContent = parts.filter(Boolean).join(" · ");
  const said = [...run.cautions, ...run.problems.map((problem) => `Not read: ${problem}`)];
  $("cautions").hidden = !said.length;
  $("cautions").replaceChildren(...said.map((text) => make("p", {}, text)));
}

function drawFacts() {
  const { facts } = currentRun();
  $("facts").replaceChildren(...facts.flatMap(([name, text]) => [make("dt", {}, name), make("dd", {}, text)]));
}

const prefersDark = () => matchMedia("(prefers-color-scheme: dark)").matches;

function drawTheme() {
  const theme = ["light", "dark"].includes(STATE.theme) ? STATE.theme : prefersDark() ? "dark" : "light";
  document.documentElement.dataset.theme = theme;
  $("theme").setAttribute("aria-pressed", String(theme === "dark"));
}

$("theme").addEventListener("click", () => change({ theme: document.documentElement.dataset.theme === "dark" ? "light" : "dark" }));
for (const button of document.querySelectorAll("[data-export]")) {
  button.addEventListener("click", () => showExport(button.dataset.export));
}
$("add").addEventListener("click", () => $("add-file").click());
$("add-file").addEventListener("change", (event) => addFile(event.target.files[0]));
$("export-close").addEventListener("click", () => $("export").close());
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && STATE.case && !$("export").open) closeCase();
});
addEventListener("hashchange", () => {
  readHash();
  render();
});
let drawnWidth = innerWidth;
addEventListener("resize", () => {
  if (innerWidth !== drawnWidth) {
    drawnWidth = innerWidth;
    render();
  }
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => render());

if (RUNS.some((run) => run.workloads.length)) {
  readHash();
  render();
} else {
  $("say").textContent = "Nothing was measured.";
  document.body.classList.add("empty");
}
document.documentElement.dataset.drawn = String(Math.round(performance.now()));
