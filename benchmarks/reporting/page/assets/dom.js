// Elements of the page. Text of the data is only ever text: none of it is parsed as HTML.
"use strict";

const $ = (id) => document.getElementById(id);

/** An element with attributes (`on...` are listeners, null and false are left out) and children. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

const strong = (text) => make("b", {}, text);

/** Draw by `draw` and leave the focus on the element that has the same `data-key` as before. */
function keepingFocus(draw) {
  const key = document.activeElement?.dataset?.key;
  draw();
  if (key && document.activeElement?.dataset?.key !== key) {
    document.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus({ preventScroll: true });
  }
}

/** A group of buttons of which one is pressed. */
function choice(label, options, chosen, choose) {
  const buttons = options.map(([value, text]) =>
    make("button", {
      type: "button",
      "data-key": `${label}:${value}`,
      "data-value": value,
      "aria-pressed": String(value === chosen),
      onclick: () => choose(value),
    }, text),
  );
  return make("div", { class: "choice", role: "group", "aria-label": label }, buttons);
}

/** A labelled list to choose from. */
function dropdown(id, label, options, chosen, choose) {
  const list = make(
    "select",
    { id, "data-key": id, onchange: (event) => choose(event.target.value) },
    options.map(([value, text]) => make("option", { value, selected: value === chosen }, text)),
  );
  return make("span", { class: "field" }, make("label", { for: id }, label), list);
}

/** A plot as one picture with a description; its marks are no elements of their own to a screen reader. */
function picture(plot, description) {
  for (const mark of plot.querySelectorAll("[aria-label]")) mark.removeAttribute("aria-label");
  plot.setAttribute("role", "img");
  plot.setAttribute("aria-label", description);
  return plot;
}

/** The colour of a role, as the theme has it. */
const colour = (role) => `var(--${role})`;
