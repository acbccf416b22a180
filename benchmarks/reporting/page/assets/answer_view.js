// The answer in the setting of the view, in words and figures, and in every setting of the run.
"use strict";

const label = () => settingLabel(setting, [setting, ...settingsOf(currentRun())]);

const MOST_NAMES = 2;
/** Whether a lead of the answer has no interval: which is the fastest would be told from noise. */
const isUnknown = (answer) => answer.leads.length > 0 && !answer.known;

/** The fastest with one that is too close to call, and how many more are; `not yet known` for noise. */
function fastestWords(answer) {
  if (isUnknown(answer)) return UNKNOWN;
  const names = [answer.fastest, ...answer.close];
  const more = names.length > MOST_NAMES ? ` + ${names.length - MOST_NAMES}` : "";
  return names.slice(0, MOST_NAMES).join(" ≈ ") + more;
}

/** The sentence on what to use, as text and emphasised names. */
function sentence(answer, place) {
  if (!answer) return ["Nothing is left to choose from."];
  const number = answer.workloads.length;
  if (!answer.leads.length) return ["Only ", strong(answer.fastest), ` is left for ${place}.`];
  if (!answer.known) return [`Not yet known for ${place}: too few blocks were measured for an interval.`];
  if (answer.close.length) {
    const names = [answer.fastest, ...answer.close].flatMap((name, at) => [at ? " and " : "", strong(name)]);
    return [`Too close to call for ${place} between `, ...names, `.${counted(answer)}`];
  }
  const said = number === 1 ? " the fastest on the only workload." : ` surely the fastest on all ${number} workloads.`;
  return ["Use ", strong(answer.fastest), ` for ${place}:`, answer.sure.length === number ? said : counted(answer)];
}

function counted({ fastest, close, workloads, sure, tied, beaten }) {
  const said = [`surely the fastest on ${sure.length} of ${count(workloads.length, "workload")}`];
  if (tied) said.push(`tied on ${tied}`);
  if (beaten) said.push(`slower than another on ${beaten}`);
  return `${close.length ? ` ${fastest} is` : ""} ${listed(said)}.`;
}

/** A line for each region in which another is faster or tied. */
function exceptionLines(answer) {
  if (!answer?.leads.length || !answer.known) return [];
  return answer.exceptions.map(({ names, tied, where: place }) => {
    const shown = names.flatMap((name, at) => [at ? (at === names.length - 1 ? " or " : ", ") : "", strong(name)]);
    return make("li", {}, ...(tied ? ["Tied with ", ...shown, ` ${place}.`] : [...shown, ` is faster ${place}.`]));
  });
}

function drawAnswer(answer) {
  $("say").replaceChildren(...sentence(answer, label()));
  const lines = exceptionLines(answer);
  $("exceptions").replaceChildren(...lines);
  $("exceptions").hidden = !lines.length;
  $("figures").replaceChildren(...figuresOf(answer).map(([name, figure, note]) =>
    make("div", {}, make("dt", {}, name), make("dd", {}, make("strong", {}, figure), note && make("span", {}, note))),
  ));
}

/** What the answer's figures are: a name, the figure, and a note on it. */
function figuresOf(answer) {
  if (!answer || isUnknown(answer)) return [];
  const found = [];
  const bounds = (ratio) => (isNumber(ratio.low) ? interval(ratio) : "no interval");
  if (answer.againstBaseline && answer.baseline !== answer.fastest) {
    found.push([`against ${answer.baseline}`, shortRatio(answer.againstBaseline), bounds(answer.againstBaseline)]);
  }
  if (answer.leads.length) {
    const [least] = answer.leads;
    found.push(["against the best other", shortRatio(answer.againstBestOther), bounds(answer.againstBestOther)]);
    const place = `over ${least.peer.implementation}, ${least.workload.name}`;
    found.push(["smallest lead", shortRatio(least.ratio), place]);
  }
  if (answer.limit) {
    const { share: middle, lowest, highest, boundBy } = answer.limit;
    found.push(["of the machine's limit", share(middle), `${share(lowest)} to ${share(highest)}; bound by ${boundBy}`]);
  }
  const preparations = answer.cases.map((each) => each.preparation);
  const once = currentRun().once[answer.fastest];
  const most = `at most ${seconds(d3.max(preparations))}${isNumber(once) ? `; ${seconds(once)} once per machine` : ""}`;
  found.push(["set-up and first call", seconds(d3.median(preparations)), `median; ${most}`]);
  found.push(["largest error", errorText(d3.max(answer.cases, (each) => each.error)), "against float64"]);
  const other = answer.alternative;
  if (other) {
    const lead = other.baseline !== other.fastest ? other.againstBaseline : null;
    found.push(["if you cannot use it", fastestWords(other), lead && !isUnknown(other) ? `${shortRatio(lead)} against ${other.baseline}` : null]);
  }
  return found;
}

/** The table of the answer in every setting of the run; a row's button shows its setting. */
function drawSettings() {
  const run = currentRun();
  const settings = settingsOf(run);
  $("settings-section").hidden = settings.length < 2 || RUNS.length > 1;
  const headings = ["setting", "fastest", `against ${DATA.baseline}`, "against the best other", "smallest lead", "of the limit", "if you cannot use it"];
  const rows = settings.map((each) => settingRow(each, answerOf(run, membersOf(run, each), withoutSet()), settings));
  $("settings").replaceChildren(
    make("thead", {}, make("tr", {}, headings.map((text) => make("th", { scope: "col" }, text)))),
    make("tbody", {}, rows),
  );
}

function settingRow(each, answer, settings) {
  const isShown = SETTINGS.every((field) => each[field] === setting[field]);
  const text = settingLabel(each, settings);
  const button = make("button", { type: "button", class: "plain", "data-key": `setting:${text}`, onclick: () => change(each) }, text);
  const head = make("th", { scope: "row", "aria-current": isShown ? "true" : null }, button);
  if (!answer) return make("tr", {}, head, make("td", { colspan: 6 }, NOTHING));
  const [least] = answer.leads;
  const other = answer.alternative;
  const cells = isUnknown(answer) ? [...Array(4).fill(UNKNOWN), NOTHING, UNKNOWN] : [
    fastestWords(answer),
    answer.baseline === answer.fastest ? NOTHING : longRatio(answer.againstBaseline),
    longRatio(answer.againstBestOther),
    least ? `${shortRatio(least.ratio)} ${least.peer.implementation}` : NOTHING,
    share(answer.limit?.share),
    other ? fastestWords(other) : NOTHING,
  ];
  return make("tr", { class: isShown ? "shown" : null }, head, cells.map((cell) => make("td", {}, cell)));
}
