// Shared by every page: the theme, elements made without HTML text, and the state in the address.
// Nothing here (or in the other scripts) parses text as HTML: what a submission says stays text.
"use strict";

window.HandBench = (() => {
  const SVG = "http://www.w3.org/2000/svg";

  /** Make an element: attributes, then children (texts or elements). */
  function element(name, attributes = {}, ...children) {
    return filled(document.createElement(name), attributes, children);
  }

  /** The same for SVG. */
  function shape(name, attributes = {}, ...children) {
    return filled(document.createElementNS(SVG, name), attributes, children);
  }

  function filled(node, attributes, children) {
    for (const [key, value] of Object.entries(attributes)) {
      if (value === undefined || value === null || value === false) continue;
      node.setAttribute(key, value === true ? "" : value);
    }
    node.append(...children.filter((child) => child !== null && child !== undefined));
    return node;
  }

  /** What the address says after "#", as names and values; a plain anchor has none. */
  function readState() {
    const hash = location.hash.slice(1);
    return new URLSearchParams(hash.includes("=") ? hash : "");
  }

  /** Put a value into the address (null or "" takes it out) without a step in the history. */
  function writeState(name, value) {
    const state = readState();
    if (value === null || value === "") state.delete(name);
    else state.set(name, value);
    const hash = state.toString();
    if (hash || location.hash.includes("=")) {
      history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search);
    }
  }

  /** Values that data files of this site give: they call `give` when they are loaded. */
  const given = new Map();
  const waiting = new Map();

  function give(name, value) {
    given.set(name, value);
    for (const resolve of waiting.get(name) ?? []) resolve(value);
    waiting.delete(name);
  }

  /** Load a data file of this site. A script and not a request: pages work from a folder too. */
  function load(name, address) {
    if (given.has(name)) return Promise.resolve(given.get(name));
    return new Promise((resolve, reject) => {
      const first = !waiting.has(name);
      waiting.set(name, [...(waiting.get(name) ?? []), resolve]);
      if (!first) return;
      const script = element("script", { src: address });
      script.onerror = () => reject(new Error(`${address} cannot be read`));
      script.onload = () => given.has(name) || reject(new Error(`${address} gives no ${name}`));
      document.head.append(script);
    });
  }

  /** The JSON that a page carries in an inert element. */
  function embedded(id) {
    const holder = document.getElementById(id);
    return holder ? JSON.parse(holder.textContent) : null;
  }

  function stored(key, value) {
    try {
      if (value === undefined) return localStorage.getItem(key);
      localStorage.setItem(key, value);
    } catch {
      return null; // a browser may forbid storage for pages of a folder
    }
    return value;
  }

  const theme = stored("hand-bench-theme");
  if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
  document.documentElement.classList.add("scripted");

  function isDark() {
    const chosen = document.documentElement.dataset.theme;
    return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  }

  addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    if (!button) return;
    button.hidden = false;
    const say = () => button.setAttribute("aria-pressed", String(isDark()));
    say();
    button.addEventListener("click", () => {
      document.documentElement.dataset.theme = stored("hand-bench-theme", isDark() ? "light" : "dark")
        ?? (isDark() ? "light" : "dark");
      say();
      dispatchEvent(new Event("themechange"));
    });
  });

  return { element, shape, readState, writeState, give, load, embedded, isDark };
})();
