// How the value shown changes along one size, the others fixed.
"use strict";

const LABEL_GAP = 15;

/** The sizes along which workloads can be ordered: numbers that take two values or more. */
const axesOf = (workloads) =>
  SIZES.filter((name) => name !== "I" || !workloads.every((each) => each.I === each.H)).filter(
    (name) => typeof DATA.defaults[name] !== "boolean" && new Set(workloads.map((each) => each[name])).size > 1 && slicesOf(workloads, name).length,
  );

/** Workloads that differ in one size alone, where there are two or more of them; the largest set first. */
function slicesOf(workloads, axis) {
  const rest = SIZES.filter((name) => name !== axis);
  const fixed = (each) => Object.fromEntries(rest.map((name) => [name, name === "I" && each.I === each.H ? "H" : each[name]]));
  const groups = d3.group(workloads, (each) => JSON.stringify(fixed(each)));
  const found = [...groups].map(([key, members]) => ({ key, members: d3.sort(members, (each) => each[axis]), words: fixedWords(JSON.parse(key), axis) }));
  return d3.sort(found.filter((each) => each.members.length > 1), (each) => -each.members.length);
}

function fixedWords(fixed, axis) {
  const shown = Object.entries(fixed).filter(([name, value]) => !(name === "I" && value === "H") && value !== DATA.defaults[name]);
  const tied = fixed.I === "H" && axis === "H" ? ["as many input features as hidden units"] : [];
  return [...shown.map(([name, value]) => `${DATA.labels[name]?.[value] ?? `${name} ${value}`}`), ...tied].join(", ");
}

function drawScaling(workloads, rows) {
  const axes = axesOf(workloads);
  $("scaling-section").hidden = !axes.length;
  if (!axes.length) return;
  const axis = axes.includes(STATE.axis) ? STATE.axis : axes.includes("H") ? "H" : axes[0];
  const slices = slicesOf(workloads, axis);
  const slice = slices.find((each) => each.key === STATE.slice) ?? slices[0];
  const controls = [choice("size", axes.map((name) => [name, DATA.axes[name]]), axis, (name) => change({ axis: name, slice: "" }))];
  if (slices.length > 1) {
    controls.push(dropdown("slice", "at", slices.map((each) => [each.key, each.words]), slice.key, (key) => change({ slice: key })));
  }
  $("scaling-controls").replaceChildren(...controls);
  const { words } = SHOWN[STATE.show];
  const baseline = STATE.show === "ratio" ? ` (${againstWords()})` : "";
  $("scaling-note").textContent = `${slice.words}. ${words[0].toUpperCase()}${words.slice(1)}${baseline}, with its 95 % interval. In colour: the answer, the next, the baseline.`;
  $("scaling").replaceChildren(scalingFigure(axis, slice, rows));
}

/** The points of the lines: the value of each case with the bounds that its interval gives. */
function scalingPoints(axis, slice, rows) {
  const names = new Set(rows.map((row) => row.name));
  const { value } = SHOWN[STATE.show];
  return slice.members.flatMap((workload) =>
    workload.cases
      .filter((each) => each.measured && names.has(each.implementation))
      .map((each) => ({ each, at: workload[axis], value: value(each), bounds: boundsOf(each) }))
      .filter((point) => isNumber(point.value)),
  );
}

function boundsOf(each) {
  const { low_seconds: low, high_seconds: high, median_seconds: middle, share_of_attainable: part } = each;
  const ratio = againstOf(each);
  const found = { time: [low, high], ratio: [ratio?.low, ratio?.high], limit: [(part * middle) / high, (part * middle) / low] };
  return found[STATE.show]?.every(isNumber) ? found[STATE.show] : null;
}

function scalingFigure(axis, slice, rows) {
  const points = scalingPoints(axis, slice, rows);
  const roles = new Map(rows.map((row) => [row.name, row.role]));
  const role = (point) => roles.get(point.each.implementation);
  const isHot = (point) => role(point) !== "other";
  const name = (point) => point.each.implementation;
  const width = Math.max(320, Math.min(1140, $("scaling").clientWidth || 1140));
  const narrow = width < 600;
  const height = narrow ? 320 : 420;
  const { text, words } = SHOWN[STATE.show];
  const isLinear = STATE.show === "limit";
  const all = points.flatMap((point) => [point.value, ...(point.bounds ?? [])]).filter((value) => isLinear || value > 0);
  const domain = isLinear ? [0, Math.max(1, d3.max(all))] : [d3.min(all) / 1.1, d3.max(all) * 1.1];
  const margins = { marginLeft: 68, marginRight: narrow ? 118 : 150, marginTop: 24, marginBottom: 42 };
  const y = (isLinear ? d3.scaleLinear() : d3.scaleLog()).domain(domain).range([height - margins.marginBottom, margins.marginTop]);
  const ticks = isLinear ? y.ticks(6) : logTicks(domain);
  const labels = endLabels(points, name, y);
  const line = (test, options) => Plot.line(points.filter(test), { x: "at", y: "value", z: name, ...options });
  const hot = points.filter(isHot);
  const figure = Plot.plot({
    width, height, ...margins,
    style: { fontSize: "13px" },
    x: { type: "log", base: 2, ticks: [...new Set(points.map((point) => point.at))], tickFormat: String, label: DATA.axes[axis] },
    y: { type: isLinear ? "linear" : "log", domain, ticks, tickFormat: (value) => text(value).replace(/\.0+(?=\D|$)/, ""), label: words, grid: true },
    marks: [
      line((point) => !isHot(point), { stroke: colour("other"), strokeWidth: 1.3 }),
      Plot.ruleX(hot.filter((point) => point.bounds), { x: "at", y1: (point) => point.bounds[0], y2: (point) => point.bounds[1], stroke: (point) => colour(role(point)), strokeWidth: 6, strokeOpacity: 0.35 }),
      line(isHot, { stroke: (point) => colour(role(point)), strokeWidth: 2.6 }),
      Plot.dot(hot, { x: "at", y: "value", fill: (point) => colour(role(point)), r: 3.6 }),
      ...["other", "base", "second", "answer"].map((kind) =>
        Plot.text(labels.filter((each) => roles.get(each.name) === kind), {
          x: "at", y: "placed", text: "name", dx: 10, textAnchor: "start",
          fill: colour(kind === "other" ? "mute" : kind), fontWeight: kind === "other" ? 400 : 700,
        }),
      ),
      Plot.tip(points, Plot.pointer({ x: "at", y: "value", title: (point) => heatTitle(point.each, []) })),
    ],
  });
  return picture(figure, `${words} over ${DATA.axes[axis]}, ${slice.words}; the table above has every number`);
}

/** Ticks at 1, 2 and 5 of each decade, fewer where there would be many. */
function logTicks([low, high]) {
  const decades = d3.range(Math.floor(Math.log10(low)), Math.ceil(Math.log10(high)) + 1);
  const within = (steps) => decades.flatMap((decade) => steps.map((step) => step * 10 ** decade)).filter((value) => value >= low && value <= high);
  return [[1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8], [1, 2, 3, 5], [1, 3], [1]].map(within).find((ticks) => ticks.length <= 9) ?? within([1]);
}

/** The names at the right ends of the lines, moved apart where they would overlap. */
function endLabels(points, name, y) {
  const last = d3.max(points, (point) => point.at);
  const ends = points.filter((point) => point.at === last);
  const placed = d3.sort(ends, (point) => y(point.value)).map((point) => ({ name: name(point), at: last, pixel: y(point.value) }));
  for (let at = 1; at < placed.length; at++) placed[at].pixel = Math.max(placed[at].pixel, placed[at - 1].pixel + LABEL_GAP);
  const [bottom] = y.range();
  let limit = bottom;
  for (const each of [...placed].reverse()) {
    each.pixel = Math.min(each.pixel, limit);
    limit = each.pixel - LABEL_GAP;
  }
  return placed.map((each) => ({ ...each, placed: y.invert(each.pixel) }));
}
