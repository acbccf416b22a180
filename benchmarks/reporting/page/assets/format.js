// Numbers as people read them, by the rules of benchmarks/presentation/plain_text.py.
"use strict";

const NOTHING = "–";
const UNITS = [[1, "s"], [1e-3, "ms"], [1e-6, "µs"], [1e-9, "ns"]];
const BYTE_UNITS = [[2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"]];

const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

/** A number to so many significant digits, never in scientific notation: 0.0123, 1.20, 1230. */
function significant(value, digits = 3) {
  if (!isNumber(value)) return NOTHING;
  if (value === 0) return "0";
  const rounded = Number(value.toExponential(digits - 1));
  return value.toFixed(Math.min(100, Math.max(0, digits - 1 - Math.floor(Math.log10(Math.abs(rounded))))));
}

/** A time to three digits in the unit that fits: 1.23 ms. */
function seconds(value) {
  if (!isNumber(value)) return NOTHING;
  const [unit, name] = UNITS.find(([size]) => Math.abs(value) >= size * 0.9995) ?? UNITS.at(-1);
  return `${significant(value / unit)} ${name}`;
}

/** A ratio: 1.23×. */
const times = (value) => (isNumber(value) ? `${significant(value)}×` : NOTHING);

/** The bounds of a ratio: 1.20–1.26. A bound just above 1 has a digit more, since it decides the verdict. */
function interval({ low, high }) {
  if (!isNumber(low) || !isNumber(high)) return "no interval";
  return [low, high].map((bound) => significant(bound, bound > 1 && bound < 1.01 ? 4 : 3)).join(NOTHING);
}

/** Stands for what would be told from noise. */
const UNKNOWN = "not yet known";

/** A ratio for one line; without an interval it is not yet known, as it would be a number from noise. */
function shortRatio(ratio) {
  if (!ratio) return NOTHING;
  return isNumber(ratio.low) ? times(ratio.median) : UNKNOWN;
}

/** A ratio with its interval: 1.23× (1.20–1.26). */
function longRatio(ratio) {
  if (!ratio) return NOTHING;
  return isNumber(ratio.low) ? `${times(ratio.median)} (${interval(ratio)})` : UNKNOWN;
}

/** A share in percent: 12 %, 0.5 %. */
const share = (value) => (isNumber(value) ? `${significant(100 * value, 2)} %` : NOTHING);

/** A relative error to two digits: 1.1e-7, 0. */
function errorText(value) {
  if (value === Infinity) return "inf";
  if (!isNumber(value)) return NOTHING;
  return value === 0 ? "0" : value.toExponential(1).replace("e+", "e");
}

/** Bytes in the unit that fits: 1.00 MiB. */
function bytes(value) {
  if (!isNumber(value)) return NOTHING;
  const [unit, name] = BYTE_UNITS.find(([size]) => value >= size) ?? BYTE_UNITS.at(-1);
  return `${significant(value / unit)} ${name}`;
}

/** A rate: 123 GFLOP/s. */
const rate = (value) => (isNumber(value) ? `${significant(value / 1e9)} GFLOP/s` : NOTHING);

/** A number with its noun: 1 workload, 2 workloads. */
const count = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;

/** Names as in a sentence: a, b and c. */
function listed(names, last = "and") {
  return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} ${last} ${names.at(-1)}`;
}
