// The compare page: reads two data files, computes in the browser, and keeps the pair in the address.
"use strict";

addEventListener("DOMContentLoaded", () => {
  const { element, shape, load, embedded, readState, writeState, plot, statistics } = HandBench;
  const setting = embedded("setting");
  const places = embedded("places");
  const options = new Map(setting.options.map((option) => [option.name, option]));
  const choose = { a: document.getElementById("a"), b: document.getElementById("b") };
  const chooseMetric = document.getElementById("metric");
  const at = (id) => document.getElementById(id);
  at("compare").hidden = false;

  const signed = (value, digits = 2) => `${value > 0 ? "+" : value < 0 ? "−" : ""}${Math.abs(value).toFixed(digits)}`;
  const plain = (value, digits = 2) => (value < 0 ? signed(value, digits) : value.toFixed(digits));

  /** One metric in one subset as it is printed: shares in percent. */
  function compared(a, b, metric, subset) {
    const [one, two] = [a, b].map((sums) => sums.ratios[metric.key]?.[subset]);
    const found = one && two ? statistics.paired(one, two) : null;
    if (!found) return null;
    const factor = metric.unit === "" ? 100 : 1;
    const shown = { ...found };
    for (const name of ["a", "b", "difference", "low", "high"]) {
      if (shown[name] !== null) shown[name] *= factor;
    }
    const clear = shown.low !== null && (shown.low > 0 || shown.high < 0);
    shown.better = shown.low === null ? "?" : !clear ? "" : (shown.difference > 0) === metric.higher ? "B" : "A";
    shown.unit = metric.unit === "" ? "%" : metric.unit;
    return shown;
  }

  const interval = (d, write) => (d.low === null ? "" : `${write(d.low)} to ${write(d.high)}`);

  function differences(shared, a, b) {
    const body = at("differences").tBodies[0];
    const rows = shared.metrics.map((metric) => [metric, compared(a, b, metric, "all")]).filter(([, d]) => d);
    body.replaceChildren(...rows.map(([metric, d]) => element("tr", { "data-metric": metric.key, class: metric.primary ? "main" : "" },
      element("th", { scope: "row" }, `${metric.label} `, element("span", { class: "unit" }, `${d.unit} ${metric.higher ? "↑" : "↓"}`)),
      element("td", { class: "n" }, d.a.toFixed(2)),
      element("td", { class: "n" }, d.b.toFixed(2)),
      element("td", { class: "n" }, signed(d.difference), element("small", {}, interval(d, signed))),
      element("td", { class: "n" }, d.p === null ? "" : d.p < 0.001 ? "< 0.001" : d.p.toFixed(3)),
      element("td", {}, d.better === "A" || d.better === "B"
        ? element("span", { class: `letter ${d.better.toLowerCase()}` }, d.better)
        : element("span", { class: "quiet" }, d.better === "?" ? "too few sequences" : "cannot be told apart"),
      d.same ? null : element("small", { title: "They answer different hands." }, "over what each answered")))));
    return new Map(rows.map(([metric, d]) => [metric.key, d]));
  }

  function verdict(shared, found, a, b) {
    const metric = shared.metrics.find((m) => m.primary);
    const d = found.get(metric?.key);
    if (a.name === b.name) return "The same submission twice: choose another one.";
    if (!d) return "These two share no sequence.";
    const size = `${Math.abs(d.difference).toFixed(2)} ${d.unit === "%" ? "points" : d.unit}`;
    const by = d.low === null ? "" : ` (95 % interval of B − A: ${interval(d, signed)})`;
    if (d.better === "A" || d.better === "B") {
      return `${d.better === "A" ? a.method : b.method} is better by ${size} of ${metric.label}${by}.`;
    }
    if (d.better === "?") return `${metric.label} differs by ${size}; with fewer than five sequences nothing can be said.`;
    return `They cannot be told apart: ${metric.label} differs by ${size}${by}.`;
  }

  function details(shared, a, b) {
    const metric = shared.metrics.find((m) => m.key === chooseMetric.value) ?? shared.metrics[0];
    const better = { A: 1, B: 0, "": 5, "?": 5 };
    const rows = Object.keys(shared.subsets).map((name) => [name, compared(a, b, metric, name)]).filter(([, d]) => d);
    plot.intervals(at("strata"), {
      label: `B minus A by subset, ${metric.label}`,
      xLabel: `B − A, ${metric.unit || "points"}`,
      rows: rows.map(([name, d]) => ({
        name, value: d.difference, low: d.low, high: d.high, colour: better[d.better],
        title: `${name}: ${signed(d.difference)}\n${interval(d, signed)}${shared.subsets[name] ? `\n${shared.subsets[name]}` : ""}`,
      })),
    });
    const factor = metric.unit === "" ? 100 : 1;
    const [one, two] = [a.ratios[metric.key]?.all, b.ratios[metric.key]?.all];
    const points = shared.clusters.flatMap((name, k) => {
      if (!one || !two || !(one.weight[k] > 0) || !(two.weight[k] > 0)) return [];
      const x = (factor * one.total[k]) / one.weight[k], y = (factor * two.total[k]) / two.weight[k];
      const wins = y === x ? "" : (y > x) === metric.higher ? "B" : "A";
      return [{ x, y, colour: better[wins], title: `${name}\nA ${plain(x)}, B ${plain(y)}` }];
    });
    if (points.length) {
      plot.scatter(at("scatter"), {
        label: `${metric.label} of A and B by sequence`, xLabel: `A, ${metric.unit || "%"}`, yLabel: `B, ${metric.unit || "%"}`, points,
      });
    } else at("scatter").replaceChildren(element("p", { class: "empty" }, "Sums of single sequences are not published here."));
  }

  /** Both hands with the difference of each joint: a colour and a number in each. */
  function joints(shared, a, b) {
    const sides = ["left", "right"].filter((side) => a.joints?.[side] && b.joints?.[side]);
    const lists = new Map(sides.map((side) => [side, a.joints[side].map((v, k) => {
      const w = b.joints[side][k];
      return v === null || w === null || (v === 0 && w === 0) ? null : w - v;
    })]));
    const largest = Math.max(0, ...[...lists.values()].flat().filter((v) => v !== null).map(Math.abs));
    const drawn = sides.filter((side) => lists.get(side).some((v) => v !== null));
    at("joint-section").hidden = drawn.length === 0;
    at("joints").replaceChildren(...drawn.map((side) => hand(side, lists.get(side), shared.joints, largest || 1)));
  }

  function hand(side, values, names, largest) {
    const svg = shape("svg", { viewBox: "0 0 250 300", role: "group", "aria-label": `Differences of the ${side} hand's joints` });
    const at = places[side === "right" ? 0 : 1];
    const palm = shape("path", { class: "palm", d: "M104 284 78 244 84 160 124 146 160 154 192 174 184 226 154 284Z" });
    if (side === "left") palm.setAttribute("transform", "translate(250 0) scale(-1 1)");
    svg.append(palm);
    const shade = (v) => `d${v === null ? "n" : Math.round((v / largest) * 3) + 3}`;
    values.forEach((v, k) => {
      if (k === 0) return;
      const parent = (k - 1) % 4 === 0 ? 0 : k - 1;
      svg.append(shape("path", { class: `bone ${shade(v)}`, d: `M${at[parent].join(" ")}L${at[k].join(" ")}` }));
    });
    values.forEach((v, k) => {
      if (v === null) return;
      const mark = shape("g", { class: shade(v) },
        shape("circle", { cx: at[k][0], cy: at[k][1], r: 12.5 }),
        shape("text", { x: at[k][0], y: at[k][1] + 3.4 }, signed(v, Math.abs(v) < 9.95 ? 1 : 0)));
      svg.append(plot.explain(mark, `${side} ${names[k]}: B − A ${signed(v)}`));
    });
    return element("figure", { class: "hand" }, svg, element("figcaption", {}, `${side} hand`));
  }

  function curves(a, b) {
    const both = [[b, 0], [a, 1]].filter(([sums]) => sums.curve);
    at("curve-section").hidden = both.length < 2;
    if (both.length < 2) return;
    plot.lines(at("curves"), {
      label: "PCK curves of both", x: { label: `threshold, ${setting.unit}` }, y: { label: "PCK, %", low: 0, high: 100 },
      series: both.reverse().map(([sums, colour]) => ({
        name: `${colour ? "A" : "B"}: ${sums.method}`, colour, points: sums.curve.at.map((t, k) => [t, 100 * sums.curve.pck[k]]),
      })),
    });
  }

  function worst(a, b) {
    at("worst-section").hidden = !(a.worst.length || b.worst.length);
    const tables = [["A", a, b], ["B", b, a]].map(([letter, own, other]) => {
      const known = new Set(other.worst.map((w) => w.id));
      const body = own.worst.map((w) => element("tr", {},
        element("th", { scope: "row", class: "mono" }, w.id, known.has(w.id) ? element("span", { class: "tag plain" }, "both") : null),
        element("td", {}, w.side ?? String(w.truth)),
        element("td", { class: "n" }, w.error === undefined ? String(w.answer) : w.error.toFixed(1))));
      const last = own.worst[0]?.error === undefined ? ["Truth", "Answer"] : ["Hand", `Error, ${setting.unit}`];
      return element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Worst samples of ${letter}` },
        element("table", { class: "rows" }, element("caption", { class: "visually-hidden" }, `Worst samples of ${letter}`),
          element("thead", {}, element("tr", {}, element("th", { scope: "col" }, `${letter}: sample`), element("th", { scope: "col" }, last[0]), element("th", { scope: "col", class: "n" }, last[1]))),
          element("tbody", {}, ...body)));
    });
    at("worst").replaceChildren(...tables);
  }

  let asked = 0;
  let now = null;

  async function show() {
    const turn = ++asked;
    const pair = [choose.a.value, choose.b.value].map((name) => options.get(name));
    const root = "../";
    try {
      const [shared, a, b] = await Promise.all([
        load(setting.shared, root + setting.shared), ...pair.map((o) => load(o.data, root + o.data))]);
      if (turn !== asked) return;
      now = { shared, a, b };
      const before = chooseMetric.value || readState().get("metric");
      chooseMetric.replaceChildren(...shared.metrics.map((m) => element("option", { value: m.key }, m.label)));
      chooseMetric.value = before;
      if (chooseMetric.selectedIndex < 0) chooseMetric.selectedIndex = Math.max(0, shared.metrics.findIndex((m) => m.primary));
      const found = differences(shared, a, b);
      at("verdict").textContent = verdict(shared, found, a, b);
      at("basis").textContent = `${shared.clusters.length} ${shared.conditional ? "blocks of ten seconds; conditional on these recordings" : "sequences"}, ` +
        `${statistics.RESAMPLES.toLocaleString("en")} resamples.`;
      details(shared, a, b);
      joints(shared, a, b);
      curves(a, b);
      worst(a, b);
      at("compare").dataset.ready = `${choose.a.value} ${choose.b.value}`;
    } catch (error) {
      at("verdict").textContent = `The data cannot be read: ${error.message}.`;
    }
  }

  function restore() {
    const state = readState(), names = [...options.keys()];
    choose.a.value = options.has(state.get("a")) ? state.get("a") : names[0];
    const other = names.find((name) => name !== choose.a.value) ?? names[0];
    choose.b.value = options.has(state.get("b")) ? state.get("b") : other;
    if (state.has("metric")) chooseMetric.value = state.get("metric");
    show();
  }

  for (const name of ["a", "b"]) {
    choose[name].addEventListener("change", () => {
      writeState("a", choose.a.value);
      writeState("b", choose.b.value);
      show();
    });
  }
  chooseMetric.addEventListener("change", () => {
    writeState("metric", chooseMetric.value);
    if (now) details(now.shared, now.a, now.b);
  });
  at("swap").addEventListener("click", () => {
    [choose.a.value, choose.b.value] = [choose.b.value, choose.a.value];
    choose.a.dispatchEvent(new Event("change"));
  });
  addEventListener("hashchange", restore);
  restore();
});
