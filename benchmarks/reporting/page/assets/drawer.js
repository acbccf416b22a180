// One case: its numbers, its blocks in measured order, the others on its workload, and the commands that repeat it.
"use strict";

let opener = null;

function drawCase() {
  const box = $("case");
  const each = STATE.case && findCase(STATE.case);
  const wasHidden = box.hidden;
  box.hidden = !each;
  document.body.classList.toggle("open", Boolean(each));
  if (!each) {
    box.replaceChildren();
    return;
  }
  const wasFocused = box.contains(document.activeElement);
  box.replaceChildren(...caseParts(each));
  if (wasHidden) opener = document.activeElement?.dataset?.case ? `cell:${each.id}` : null;
  if ((wasHidden && opener) || wasFocused) box.querySelector("button").focus({ preventScroll: true });
}

/** Close the case and give the focus back to its cell. */
function closeCase() {
  const key = `cell:${STATE.case}`;
  change({ case: "" });
  document.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus({ preventScroll: true });
}

function caseParts(each) {
  const { workload } = each;
  const run = currentRun();
  const place = settingLabel(workload, [workload, ...settingsOf(run)]);
  const parts = [
    make("button", { type: "button", class: "close", "aria-label": "close the case", onclick: closeCase }, "✕"),
    make("h2", { id: "case-title" }, each.implementation),
    make("p", { class: "note" }, `${workload.name}; ${place}${RUNS.length > 1 ? `; run ${run.label}` : ""}`),
  ];
  if (each.status !== "ok") parts.push(make("p", { class: "status" }, strong(each.status), each.reason ? `: ${each.reason}` : ""));
  parts.push(make("dl", {}, factsOf(each).flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)])));
  if (each.blocks.length) parts.push(make("h3", {}, "Blocks of samples, in measured order"), blocksFigure(each));
  const others = d3.sort(workload.cases.filter((other) => other.measured), (other) => other.median_seconds);
  if (others.length > 1 || (others.length && !each.measured)) parts.push(make("h3", {}, "All on this workload"), othersFigure(each, others));
  parts.push(make("h3", {}, "Measure it again"), ...measureAgain(each));
  parts.push(make("h3", {}, "See where its time goes"), command(`${DATA.program} profile ${quoted(each.id)}${impl(each)}`));
  return parts;
}

/** What is known of a case, as names and texts. */
function factsOf(each) {
  const { workload } = each;
  const run = currentRun();
  const found = [];
  const add = (name, value) => value !== NOTHING && value !== "" && found.push([name, value]);
  if (each.measured) {
    const first = fastestOf(contenders(workload, withoutSet()));
    const base = baselineOf(workload);
    const range = isNumber(each.low_seconds) ? ` (${seconds(each.low_seconds)} to ${seconds(each.high_seconds)})` : "";
    add("time of a call", `${seconds(each.median_seconds)}${range}`);
    if (isNumber(each.backward_seconds)) add("forward, backward", `${seconds(each.forward_seconds)}, ${seconds(each.backward_seconds)}`);
    if (first && first !== each) add(`against ${first.implementation}`, `${longRatio(timeRatio(each, first))} the time`);
    if (base?.measured && base !== each) add(`against ${base.implementation}`, `${longRatio(timeRatio(base, each))} as fast`);
    add("rate of products", rate(each.flops_per_second));
    if (isNumber(workload.bound_seconds)) add("the machine's limit", `${seconds(workload.bound_seconds)}: ${share(each.share_of_attainable)} reached`);
    add("bound by", each.bound_by ?? "");
    add("set-up, first call", `${seconds(each.setup_seconds)}, ${seconds(each.first_call_seconds)}`);
    add("first use on a machine", seconds(run.once[each.implementation]));
    if (base && base !== each) add(`pays back against ${base.implementation}`, payback(each.payback_calls));
  }
  add("largest error", errorText(each.error));
  add("peak memory", bytes(each.peak_bytes));
  add("other programs' share of the cores", share(each.elsewhere_share));
  add("samples", each.samples ? `${each.samples} in ${count(d3.sum(each.blocks, ([, medians]) => medians.length), "block")}, ${count(each.blocks.length, "visit")}` : "");
  add("path that ran", each.describe ?? "");
  return found;
}

function payback(calls) {
  if (calls === Infinity) return "never";
  if (!isNumber(calls)) return NOTHING;
  return calls === 0 ? "at once" : `after ${count(Math.ceil(Number(calls.toFixed(6))), "call")}`;
}

function blocksFigure(each) {
  const points = each.blocks.flatMap(([round, medians]) => medians.map((value) => ({ round, value }))).map((point, at) => ({ ...point, at }));
  const rounds = [...new Set(points.map((point) => point.round))];
  const bounded = isNumber(each.low_seconds) ? [each] : [];
  const figure = Plot.plot({
    width: 392, height: 150, marginLeft: 64, marginBottom: 30, marginTop: 8, style: { fontSize: "12px" },
    x: { label: "block", ticks: [] },
    y: { label: null, tickFormat: (value) => seconds(value).replace(/\.0+(?=\D)/, ""), ticks: 4, zero: false, grid: true },
    marks: [
      Plot.rectY(bounded, { x1: -0.5, x2: points.length - 0.5, y1: "low_seconds", y2: "high_seconds", fill: colour("answer"), fillOpacity: 0.2 }),
      Plot.ruleY([each.median_seconds], { stroke: colour("answer") }),
      Plot.dot(points, { x: "at", y: "value", r: 2.6, fill: (point) => colour(rounds.indexOf(point.round) % 2 ? "second" : "ink"), title: (point) => `visit ${point.round + 1}: ${seconds(point.value)}` }),
    ],
  });
  const values = points.map((point) => point.value);
  return picture(figure, `${count(points.length, "block")} between ${seconds(d3.min(values))} and ${seconds(d3.max(values))}; the band is the interval of the median`);
}

function othersFigure(each, others) {
  const name = (other) => other.implementation;
  const figure = Plot.plot({
    width: 392, height: 22 * others.length + 8, marginLeft: 136, marginRight: 66, marginTop: 4, marginBottom: 4, style: { fontSize: "12px" },
    x: { axis: null, domain: [0, d3.max(others, (other) => other.high_seconds || other.median_seconds)] },
    y: { label: null, domain: others.map(name), tickSize: 0 },
    marks: [
      Plot.barX(others, { x: "median_seconds", y: name, fill: (other) => colour(other === each ? "answer" : "other") }),
      Plot.ruleY(others.filter((other) => isNumber(other.low_seconds)), { y: name, x1: "low_seconds", x2: "high_seconds", stroke: colour("ink") }),
      Plot.text(others, { y: name, frameAnchor: "right", dx: 62, textAnchor: "end", text: (other) => seconds(other.median_seconds) }),
    ],
  });
  return picture(figure, others.map((other) => `${name(other)} ${seconds(other.median_seconds)}`).join(", "));
}

/** A word of a shell command: names may be a stranger's. */
const quoted = (word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'"'"'`)}'`);
/** The option that names an implementation of another source than its name. */
const impl = ({ implementation, source }) => (source === implementation ? "" : ` --impl ${quoted(`${implementation}=${source}`)}`);

function measureAgain(each) {
  const { measure } = each.workload;
  const named = impl(each) || ` --impl ${quoted(each.implementation)}`;
  if (!measure.startsWith("[[")) return [command(`${DATA.program} sweep${named} ${measure}`)];
  return [command(`${DATA.program} sweep case.toml${named}`), make("p", { class: "note" }, "with this in case.toml:"), command(measure)];
}

/** A command with a button that copies it. */
function command(text) {
  const button = make("button", { type: "button", class: "copy", onclick: () => copy(text) }, "copy");
  return make("div", { class: "command" }, make("pre", { tabindex: 0 }, text), button);
}
