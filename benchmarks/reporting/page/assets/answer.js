// The answer in one setting, by the rules of benchmarks/reporting/answers/setting_answers.py: tests hold the two to each other.
"use strict";

const byMost = (counts) => [...counts].sort((one, other) => other[1] - one[1] || d3.ascending(one[0], other[0]));
const tooClose = (ratio) => !(ratio.low > 1);
const geometricMean = (values) => Math.exp(d3.fsum(values.map(Math.log)) / values.length);
const hasNone = (values) => values.some(Number.isNaN);

/** The geometric mean of ratios, and of their bounds; NaN bounds when one is missing. */
function meanOf(ratios) {
  const mean = (part) => {
    const values = ratios.map((ratio) => ratio[part]);
    return hasNone(values) ? NaN : geometricMean(values);
  };
  return { median: mean("median"), low: mean("low"), high: mean("high") };
}

/** The measured cases of a workload that may be used, one for each source: a copy under a second name wins nothing. */
function contenders(workload, without) {
  const allowed = workload.cases.filter((each) => each.measured && !without.has(each.implementation));
  const kept = new Map();
  const isCopy = (each) => each.implementation !== each.source;
  const ordered = [...allowed].sort(
    (one, other) => isCopy(one) - isCopy(other) || d3.ascending(one.implementation, other.implementation),
  );
  for (const each of ordered) if (!kept.has(each.source)) kept.set(each.source, each);
  return allowed.filter((each) => kept.get(each.source) === each);
}

/** The baseline among the cases of a workload, also where it may not be used: the one of that name, else a copy. */
const baselineOf = (workload) =>
  caseOf(workload, DATA.baseline) ?? workload.cases.find((each) => each.source === DATA.baseline);

const fastestOf = (cases) => d3.least(cases, (each) => each.median_seconds);
const logMean = (cases) => d3.fsum(cases.map((each) => Math.log(each.median_seconds))) / cases.length;

/** The workloads that most implementations share, and the cases on them of each that has all, the fastest first. */
function compared(workloads, without) {
  const all = workloads.map((workload) => contenders(workload, without)).filter((cases) => cases.length);
  const columns = d3.group(all.flat(), (each) => each.implementation);
  if (!columns.size) return { shared: [], columns: [] };
  const most = d3.max(columns.values(), (cases) => cases.length);
  const widest = d3.least([...columns.values()].filter((cases) => cases.length === most), logMean);
  const shared = widest.map((each) => each.workload);
  const complete = [...columns.values()].map((cases) => cases.filter((each) => shared.includes(each.workload)));
  return { shared, columns: d3.sort(complete.filter((cases) => cases.length === shared.length), logMean) };
}

/** The ratio of the times of two columns of cases on the same workloads. */
const meanRatio = (above, below) => meanOf(above.map((each, at) => timeRatio(each, below[at])));

/** The answer over workloads of one setting, setting some implementations aside; null where nothing was measured. */
function answerOf(run, workloads, without, isFirst = true) {
  const { shared, columns } = compared(workloads, without);
  if (!columns.length) return null;
  const [own, ...others] = columns;
  const [{ implementation, source }] = own;
  const baselines = shared.map(baselineOf);
  const hasBaseline = baselines.every((each) => each?.measured);
  const leads = leadsOf(own, without);
  const { sure, exceptions } = exceptionsOf(implementation, shared, without);
  let alternative = null;
  if (isFirst) {
    const copies = run.workloads.flatMap((workload) => workload.cases).filter((each) => each.source === source);
    const aside = new Set([...without, ...copies.map((each) => each.implementation)]);
    alternative = answerOf(run, workloads, aside, false);
  }
  const total = (tied) => d3.sum(exceptions.filter((each) => each.tied === tied), (each) => each.workloads.length);
  return {
    workloads: shared,
    fastest: implementation,
    cases: own,
    close: others.filter((cases) => tooClose(meanRatio(cases, own))).map(([first]) => first.implementation),
    baseline: hasBaseline ? baselines[0].implementation : null,
    againstBaseline: hasBaseline ? meanRatio(baselines, own) : null,
    leads,
    againstBestOther: leads.length ? meanOf(leads.map((each) => each.ratio)) : null,
    sure,
    exceptions,
    tied: total(true),
    beaten: total(false),
    known: leads.length > 0 && !hasNone(leads.map((each) => each.ratio.low)),
    limit: limitOf(own),
    alternative,
  };
}

/** Cases of one implementation against the best of the others on each workload, the smallest lead first. */
function leadsOf(cases, without) {
  const found = cases.map((own) => {
    const peer = fastestOf(contenders(own.workload, without).filter((each) => each.source !== own.source));
    return peer && { workload: own.workload, own, peer, ratio: timeRatio(peer, own) };
  });
  return d3.sort(found.filter(Boolean), (each) => each.ratio.median);
}

/** The fastest of a workload and those too close to it to call; undefined where nothing may be used. */
function aheadOf(workload, without) {
  const cases = contenders(workload, without);
  const first = fastestOf(cases);
  return first && [first, ...cases.filter((each) => each !== first && tooClose(timeRatio(each, first)))];
}

/** The workloads on which the fastest overall is surely the fastest, and the others by who is faster or tied there. */
function exceptionsOf(fastest, shared, without) {
  const sure = [];
  const faster = new Map();
  const tied = new Map();
  for (const workload of shared) {
    const names = aheadOf(workload, without).map((each) => each.implementation);
    if (!names.includes(fastest)) faster.set(names[0], [...(faster.get(names[0]) ?? []), workload]);
    else if (names.length > 1) tied.set(workload, names.filter((name) => name !== fastest));
    else sure.push(workload);
  }
  const sorted = byMost([...faster].map(([name, on]) => [name, on.length]));
  const exceptions = sorted.map(([name]) => {
    const on = faster.get(name);
    return { names: [name], tied: false, workloads: on, where: where(on, shared) };
  });
  if (tied.size) {
    const counts = d3.rollup([...tied.values()].flat(), (each) => each.length, (name) => name);
    const on = [...tied.keys()];
    exceptions.push({ names: byMost(counts).map(([name]) => name), tied: true, workloads: on, where: where(on, shared) });
  }
  return { sure, exceptions };
}

/** How near cases come to the limit of the machine, over the workloads whose limit is known. */
function limitOf(cases) {
  const known = cases.filter((each) => !Number.isNaN(each.share_of_attainable));
  if (!known.length) return null;
  const shares = known.map((each) => each.share_of_attainable);
  const binding = d3.rollup(known, (each) => each.length, (each) => each.bound_by);
  return {
    share: d3.median(shares),
    lowest: d3.min(shares),
    highest: d3.max(shares),
    boundBy: d3.greatest(binding, ([, number]) => number)[0],
  };
}
