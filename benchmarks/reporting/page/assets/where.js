// Some workloads among others in words, by the rules of benchmarks/reporting/answers/size_words.py.
"use strict";

const MOST_NAMED = 2;

/** The chosen workloads in words that follow a name: `for H ≥ 512`, `for T64 B16 H1024`, `on 7 of 17`. */
function where(chosen, among) {
  const inside = new Set(chosen);
  if (inside.size === among.length) return among.length > 1 ? "on all" : "on the only workload";
  for (const rules of candidates(among)) {
    if (among.every((each) => rules.every((rule) => rule.holds(each)) === inside.has(each))) {
      return `for ${rules.map((rule) => rule.words).join(" with ")}`;
    }
  }
  if (inside.size <= MOST_NAMED) {
    return `for ${among.filter((each) => inside.has(each)).map((each) => each.name).join(" and ")}`;
  }
  return `on ${inside.size} of ${among.length}`;
}

/** Single rules, then pairs of rules on two sizes. */
function candidates(among) {
  const rules = DATA.rule_sizes.flatMap((letter) => rulesOn(letter, among));
  const pairs = rules.flatMap((one, at) =>
    rules.slice(at + 1).filter((other) => other.letter !== one.letter).map((other) => [one, other]),
  );
  return [...rules.map((rule) => [rule]), ...pairs];
}

/** Each size alone, then from each size on, then up to each. */
function rulesOn(letter, among) {
  const sizes = d3.sort(new Set(among.map((each) => each[letter])));
  if (sizes.length < 2) return [];
  const rule = (words, low, high) => ({ words, letter, holds: (each) => low <= each[letter] && each[letter] <= high });
  const inner = sizes.slice(1, -1);
  return [
    ...sizes.map((size) => rule(`${letter} ${size}`, size, size)),
    ...inner.map((size) => rule(`${letter} ≥ ${size}`, size, Infinity)),
    ...inner.map((size) => rule(`${letter} ≤ ${size}`, 0, size)),
  ];
}
