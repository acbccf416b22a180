// The table of every workload and every implementation.
"use strict";

const BEHIND = [1.5, 3, 10];
/** The colour of a cell by how many times as long as the fastest it takes; the first is for those tied with it. */
const heatColour = (behind) => `var(--heat-${1 + BEHIND.filter((from) => behind >= from).length})`;

function drawHeat(workloads, rows, without) {
  const names = rows.map((row) => row.name);
  const rest = [...new Set(workloads.flatMap((each) => each.cases).map((each) => each.implementation))].filter((name) => !names.includes(name) && !without.has(name));
  const columns = [...names, ...rest];
  const ordered = d3.sort(workloads, (workload) => fastestOf(contenders(workload, without))?.median_seconds ?? Infinity);
  const focusable = ordered.flatMap((each) => each.cases).some((each) => each.id === STATE.case) ? STATE.case : null;
  let isFirst = true;
  const body = ordered.map((workload) => {
    const ahead = aheadOf(workload, without) ?? [];
    const cells = columns.map((name) => {
      const each = caseOf(workload, name);
      if (!each) return make("td", { class: "none" });
      const isTarget = focusable ? each.id === focusable : isFirst;
      isFirst = false;
      return make("td", {}, heatCell(each, ahead, isTarget));
    });
    return make("tr", {}, make("th", { scope: "row" }, workload.name), cells);
  });
  const heads = columns.map((name) => make("th", { scope: "col" }, ...breakable(name)));
  $("heat").replaceChildren(make("thead", {}, make("tr", {}, make("td", {}), heads)), make("tbody", {}, body));
  $("legend").replaceChildren(...legend());
}

function legend() {
  const words = ["fastest, or too close to it to call", ...BEHIND.map((to) => `up to ${to}× its time`), `${BEHIND.at(-1)}× and more`];
  const colours = words.map((text, at) => {
    const key = make("span", { class: "key" });
    key.style.background = `var(--heat-${at})`;
    return make("span", { class: "entry" }, key, text);
  });
  const marks = [["▢", "fastest"], ["≈", "too close to call"], ["~", "noisy: interval wider than asked for"]];
  return [...colours, ...marks.map(([mark, text]) => make("span", { class: "entry" }, strong(mark), ` ${text}`))];
}

/** A name that may break after an underscore. */
const breakable = (name) => name.split(/(?<=_)/).flatMap((part) => [part, make("wbr")]);

function heatCell(each, ahead, isTarget) {
  const isTied = ahead.length > 1 && ahead.includes(each);
  const { value, text } = SHOWN[STATE.show];
  const shown = each.measured ? `${isTied ? "≈ " : ""}${text(value(each))}${each.status === "noisy" ? " ~" : ""}` : each.status;
  const kinds = [each === ahead[0] && "best", each.id === STATE.case && "chosen", !each.measured && "failed"];
  const button = make(
    "button",
    {
      type: "button",
      class: kinds.filter(Boolean).join(" "),
      "data-key": `cell:${each.id}`,
      "data-case": each.id,
      tabindex: isTarget ? 0 : -1,
      title: heatTitle(each, ahead),
      "aria-expanded": String(each.id === STATE.case),
      "aria-controls": "case",
      onclick: () => change({ case: each.id }),
      onkeydown: moveInHeat,
    },
    shown,
  );
  if (each.measured && ahead.length) {
    button.style.background = ahead.includes(each) ? "var(--heat-0)" : heatColour(timeRatio(each, ahead[0]).median);
  }
  return button;
}

function heatTitle(each, ahead) {
  const name = `${each.implementation}, ${each.workload.name}`;
  if (!each.measured) return `${name}: ${each.status}${each.reason ? `, ${each.reason}` : ""}`;
  const time = `${seconds(each.median_seconds)} (${seconds(each.low_seconds)} to ${seconds(each.high_seconds)})`;
  const behind = ahead.length && each !== ahead[0] ? `\n${longRatio(timeRatio(each, ahead[0]))} the time of ${ahead[0].implementation}` : "";
  return `${name}\n${time}${behind}${each.bound_by ? `\nbound by ${each.bound_by}` : ""}`;
}

const MOVES = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

/** The arrow keys move between the cells; the table is one stop of the tabulator. */
function moveInHeat(event) {
  const move = MOVES[event.key];
  if (!move) return;
  event.preventDefault();
  const cell = event.target.closest("td");
  let row = cell.parentElement;
  let column = cell.cellIndex;
  for (;;) {
    row = move[0] === 0 ? row : move[0] > 0 ? row.nextElementSibling : row.previousElementSibling;
    column += move[1];
    const next = row?.cells[column];
    if (!next || next.tagName !== "TD") return;
    const button = next.querySelector("button");
    if (button) {
      event.target.tabIndex = -1;
      button.tabIndex = 0;
      button.focus();
      return;
    }
  }
}
