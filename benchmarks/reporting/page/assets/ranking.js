// The ranking: a row an implementation, with a dot for each workload.
"use strict";

const STRIP = { width: 160, height: 26, margin: 10 };
const RANKING_COLUMNS = {
  engine: { words: "implementation", key: (row) => row.name },
  against: { words: () => `× ${STATE.against === BEST ? "best other" : STATE.against}`, key: (row) => -row.against.median },
  strip: { words: "on each workload" },
  behind: { words: "behind the answer", key: (row) => row.behind.median },
  sure: { words: "fastest (tied)", key: (row) => -row.sure - row.tied / 1e3 },
  limit: { words: "of the limit", key: (row) => -row.limit },
  first: { words: "set-up + first call", key: (row) => row.preparation },
  error: { words: "largest error", key: (row) => row.error },
  memory: { words: "most memory", key: (row) => row.memory },
};

/** The rows of the ranking: each implementation over the workloads on which it was measured, the fastest first. */
function rankingOf(workloads, without) {
  const ahead = new Map(workloads.map((workload) => [workload, aheadOf(workload, without) ?? []]));
  const columns = d3.group(workloads.flatMap((workload) => contenders(workload, without)), (each) => each.implementation);
  const answer = answerOf(currentRun(), workloads, without);
  const rows = [...columns].map(([name, cases]) => rankingRow(name, cases, ahead, answer));
  return d3.sort(rows, (one, other) => other.cases.length - one.cases.length || d3.ascending(one.order, other.order));
}

function rankingRow(name, cases, ahead, answer) {
  const points = cases.map((each) => ({ each, ratio: againstOf(each) })).filter((point) => point.ratio);
  const shared = cases.filter((each) => answer.workloads.includes(each.workload));
  const first = shared.map((each) => caseOf(each.workload, answer.fastest));
  const leading = (test) => cases.filter((each) => ahead.get(each.workload).includes(each) && test(ahead.get(each.workload).length)).length;
  const finite = (values) => values.filter((value) => !Number.isNaN(value));
  return {
    name,
    cases,
    points,
    against: points.length ? meanOf(points.map((point) => point.ratio)) : { median: NaN, low: NaN, high: NaN },
    behind: shared.length ? meanRatio(shared, first) : { median: NaN, low: NaN, high: NaN },
    order: shared.length ? logMean(shared) - logMean(first) : Infinity,
    sure: leading((number) => number === 1),
    tied: leading((number) => number > 1),
    limit: d3.median(finite(cases.map((each) => each.share_of_attainable))) ?? NaN,
    preparation: d3.median(finite(cases.map((each) => each.preparation))) ?? NaN,
    error: d3.max(finite(cases.map((each) => each.error))) ?? NaN,
    memory: d3.max(finite(cases.map((each) => each.peak_bytes))) ?? NaN,
  };
}

/** The rows in the order that the view asks for; what has no number comes last. */
function sorted(rows) {
  const key = RANKING_COLUMNS[STATE.sort]?.key;
  return key ? d3.sort(rows, key) : rows;
}

function drawRanking(rows, workloads) {
  const heads = Object.entries(RANKING_COLUMNS).map(([name, { words, key }]) => {
    const text = typeof words === "function" ? words() : words;
    const button = key && make("button", { type: "button", class: "plain", "data-key": `sort:${name}`, onclick: () => change({ sort: STATE.sort === name ? "" : name }) }, text);
    return make("th", { scope: "col", "aria-sort": STATE.sort === name ? "ascending" : null }, button ?? text);
  });
  const values = rows.flatMap((row) => row.points.map((point) => point.ratio.median));
  const domain = [d3.min([1, ...values]) / 1.12, d3.max([1, ...values]) * 1.12];
  const body = sorted(rows).map((row) => make("tr", { "data-engine": row.name, class: row.role },
    make("th", { scope: "row" }, row.name),
    make("td", {}, shortRatio(row.against), isNumber(row.against.low) && make("small", {}, ` ${interval(row.against)}`)),
    make("td", { class: "strip" }, strip(row, domain)),
    make("td", {}, times(row.behind.median)),
    make("td", {}, `${row.sure} (${row.tied}) of ${row.cases.length}`),
    make("td", {}, share(row.limit)),
    make("td", {}, seconds(row.preparation)),
    make("td", {}, errorText(row.error)),
    make("td", {}, bytes(row.memory)),
  ));
  const axis = make("tr", { class: "axis" }, make("td", { colspan: 2 }), make("td", { class: "strip" }, stripAxis(domain)), make("td", { colspan: 6 }));
  $("ranking").replaceChildren(make("thead", {}, make("tr", {}, heads)), make("tbody", {}, body, axis));
  const most = d3.max(rows, (row) => row.cases.length);
  $("ranking-note").textContent =
    `A dot is a workload: how many times as fast as ${againstWords()}; the bar is the geometric mean` +
    `${most < workloads.length ? "" : ` of ${count(most, "workload")}`}. A heading sorts, a dot shows its case.`;
}

/** The implementation's ratios on a line, a dot a workload; a dot opens its case. */
function strip(row, domain) {
  const { width, height, margin } = STRIP;
  const figure = Plot.plot({
    width, height, margin: 0, marginLeft: margin, marginRight: margin,
    x: { type: "log", domain, axis: null },
    marks: [
      Plot.ruleX([1], { stroke: colour("line-strong") }),
      Plot.dot(row.points, { x: (point) => point.ratio.median, r: 3.6, fill: colour(row.role), fillOpacity: 0.8, title: pointTitle }),
      Plot.tickX(isNumber(row.against.median) ? [row.against.median] : [], { stroke: colour("ink"), strokeWidth: 2.5 }),
    ],
  });
  figure.querySelectorAll("circle").forEach((circle, at) => {
    circle.addEventListener("click", () => change({ case: row.points[at].each.id }));
  });
  const [least, most] = d3.extent(row.points, (point) => point.ratio.median).map(times);
  return picture(figure, `${row.name}: ${least} to ${most}`);
}

const pointTitle = ({ each, ratio }) => `${each.implementation} ${each.workload.name}: ${longRatio(ratio)}`;

function stripAxis(domain) {
  const { width, margin } = STRIP;
  const ticks = [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300].filter((value) => value > domain[0] && value < domain[1]);
  const figure = Plot.plot({
    width, height: 24, margin: 0, marginLeft: margin, marginRight: margin, marginBottom: 22, style: { fontSize: "12px" },
    x: { type: "log", domain, ticks, tickFormat: (value) => `${value}×`, label: null },
    marks: [],
  });
  picture(figure, "the scale of the ratios").setAttribute("aria-hidden", "true");
  return figure;
}
