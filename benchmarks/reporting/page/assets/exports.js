// What is shown as Markdown, LaTeX and CSV.
"use strict";

const FORMATS = { md: ["Markdown", "text/markdown"], tex: ["LaTeX", "text/x-tex"], csv: ["CSV", "text/csv"] };
const SHOWN_COLUMNS = [
  ...["run", ...SETTINGS, ...SIZES, "implementation", "status", "median_seconds", "low_seconds", "high_seconds"],
  ...["share_of_attainable", "bound_by", "setup_seconds", "first_call_seconds", "peak_bytes", "error_output", "error_gradient"],
];

/** The ranking as a table of text: the heading and a row an implementation. */
function rankingTable(rows) {
  const heading = ["implementation", `against ${againstWords()}`, "least", "most", "behind the answer", "fastest", "tied", "of the limit", "largest error"];
  const body = rows.map((row) => {
    const ratios = row.points.map((point) => point.ratio.median);
    return [row.name, longRatio(row.against), times(d3.min(ratios)), times(d3.max(ratios)), times(row.behind.median), String(row.sure), String(row.tied), share(row.limit), errorText(row.error)];
  });
  return { heading, body };
}

function caption(workloads) {
  const run = currentRun();
  const aside = STATE.without.length ? `; without ${STATE.without.join(", ")}` : "";
  const commit = run.commit ? `; commit ${run.commit.slice(0, 10)}` : "";
  return `${label()}; ${count(workloads.length, "workload")} of run ${run.label} (${run.machine})${commit}${aside}`;
}

const markdownText = (text) => text.replace(/([\\`*[\]<>|~$#@!]|(?<!\w)_|_(?!\w))/g, "\\$1");

function asMarkdown({ heading, body }, note) {
  const line = (cells) => `| ${cells.map(markdownText).join(" | ")} |`;
  return [line(heading), `|${heading.map((_, at) => (at ? "--:" : ":--")).join("|")}|`, ...body.map(line), "", markdownText(note), ""].join("\n");
}

const LATEX = { "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "×": "$\\times$", "≈": "$\\approx$", "–": "--" };
const latexText = (text) => text.replace(/[\\~^×≈–{}_%&#$]/g, (letter) => LATEX[letter] ?? `\\${letter}`);

function asLatex({ heading, body }, note) {
  const line = (cells) => `${cells.map(latexText).join(" & ")} \\\\`;
  const columns = `l${"r".repeat(heading.length - 1)}`;
  return [`% ${note}`, `\\begin{tabular}{${columns}}`, "\\toprule", line(heading), "\\midrule", ...body.map(line), "\\bottomrule", "\\end{tabular}", ""].join("\n");
}

function asCsv(cases) {
  const value = (each, name) => (name === "run" ? currentRun().label : name in each ? each[name] : each.workload[name]);
  const cell = (found) => {
    const plain = found === null || Number.isNaN(found) ? "" : String(found);
    // A spreadsheet would take such a text for a formula.
    const text = typeof found === "string" && /^[=+\-@\t\r]/.test(plain) ? `'${plain}` : plain;
    return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [SHOWN_COLUMNS.join(","), ...cases.map((each) => SHOWN_COLUMNS.map((name) => cell(value(each, name))).join(","))].join("\n") + "\n";
}

/** The text of an export of the view. */
function exported(format) {
  const workloads = membersOf(currentRun(), setting);
  const without = withoutSet();
  if (format === "csv") {
    return asCsv(workloads.flatMap((workload) => workload.cases).filter((each) => !without.has(each.implementation)));
  }
  const table = rankingTable(sorted(rankingOf(workloads, without)));
  return format === "md" ? asMarkdown(table, caption(workloads)) : asLatex(table, caption(workloads));
}

/** Show an export, put it on the clipboard where that is allowed, and offer it as a file. */
function showExport(format) {
  const text = exported(format);
  const [name, type] = FORMATS[format];
  $("export-title").textContent = `${name} of what is shown`;
  $("export-text").value = text;
  const link = $("export-file");
  URL.revokeObjectURL(link.href);
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = `${currentRun().label.replaceAll("/", "-")}.${format}`;
  $("export").showModal();
  $("export-text").select();
  copy(text);
}

/** Put text on the clipboard and say so. */
function copy(text) {
  const say = (said) => {
    $("copied").textContent = said;
    $("export-said").textContent = said;
  };
  say("");
  const written = navigator.clipboard?.writeText(text) ?? Promise.reject(new Error("no clipboard"));
  written.then(() => say("copied"), () => say("not copied: select the text and copy it"));
}
