// Small charts in SVG: curves, points, intervals. Each is drawn whole whenever its data changes.
"use strict";

HandBench.plot = (() => {
  const { element, shape } = HandBench;
  const WIDTH = 520, HEIGHT = 300, LEFT = 54, RIGHT = 14, TOP = 12, BOTTOM = 42;
  const COLOURS = 8;

  /** A linear scale from values to pixels; `ticks` are round numbers inside it. */
  function scale(low, high, start, end) {
    const span = high - low || 1;
    const place = (value) => start + ((value - low) / span) * (end - start);
    place.low = low;
    place.high = high;
    place.ticks = ticks(low, high);
    return place;
  }

  function ticks(low, high, wanted = 7) {
    const raw = (high - low || 1) / wanted;
    const power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 2.5, 5, 10].map((s) => s * power).find((s) => s >= raw * 0.999);
    const found = [];
    for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k++) found.push(k * step);
    return { at: found, digits: Math.max(0, Math.min(6, -Math.floor(Math.log10(step) + 1e-9)) + (step / power === 2.5 ? 1 : 0)) };
  }

  /** Room around values, so that points do not sit on the frame. */
  function padded(values, share = 0.06) {
    let low = Math.min(...values), high = Math.max(...values);
    if (!(high > low)) [low, high] = [low - Math.abs(low || 1) * 0.1, high + Math.abs(high || 1) * 0.1];
    const room = (high - low) * share;
    return [low - room, high + room];
  }

  function frame(label, height = HEIGHT) {
    return shape("svg", { class: "chart", viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-label": label });
  }

  function text(x, y, content, kind) {
    return shape("text", { x: x.toFixed(1), y: y.toFixed(1), class: kind }, content);
  }

  function axes(svg, x, y, xLabel, yLabel, { xText, height = HEIGHT } = {}) {
    for (const value of y.ticks.at) {
      svg.append(shape("path", { class: "grid", d: `M${LEFT} ${y(value).toFixed(1)}H${WIDTH - RIGHT}` }));
      svg.append(text(LEFT - 8, y(value) + 4, value.toFixed(y.ticks.digits), "tick end"));
    }
    for (const value of x.ticks.at) {
      const shown = xText ? xText(value) : value.toFixed(x.ticks.digits);
      svg.append(text(x(value), height - BOTTOM + 17, shown, "tick mid"));
    }
    svg.append(text((LEFT + WIDTH - RIGHT) / 2, height - 6, xLabel, "axis mid"));
    const turned = text(0, 0, yLabel, "axis mid");
    turned.setAttribute("transform", `translate(13 ${(TOP + height - BOTTOM) / 2}) rotate(-90)`);
    svg.append(turned);
  }

  let tip = null;

  /** Show a text beside a mark while the pointer or the keyboard is on it. */
  function explain(mark, content) {
    mark.setAttribute("tabindex", "0");
    mark.setAttribute("role", "img");
    mark.setAttribute("aria-label", content.replaceAll("\n", ", "));
    const show = () => {
      tip ??= document.body.appendChild(element("div", { class: "tip", "aria-hidden": "true" }));
      tip.textContent = content;
      tip.hidden = false;
      const box = mark.getBoundingClientRect(), own = tip.getBoundingClientRect();
      const left = Math.max(4, Math.min(box.left + box.width / 2 - own.width / 2, innerWidth - own.width - 4));
      tip.style.left = `${left}px`;
      tip.style.top = `${box.top > own.height + 10 ? box.top - own.height - 8 : box.bottom + 8}px`;
    };
    const hide = () => { if (tip) tip.hidden = true; };
    mark.addEventListener("pointerenter", show);
    mark.addEventListener("focus", show);
    mark.addEventListener("pointerleave", hide);
    mark.addEventListener("blur", hide);
    return mark;
  }

  function legend(series) {
    return element("p", { class: "key" }, ...series.map((s) => element("span", { class: `c${s.colour % COLOURS}` }, s.name)));
  }

  /** Curves: series of {name, colour, points: [[x, y]]}. */
  function lines(holder, { label, x, y, series }) {
    const svg = frame(label);
    const every = series.flatMap((s) => s.points);
    const across = scale(Math.min(...every.map((p) => p[0])), Math.max(...every.map((p) => p[0])), LEFT, WIDTH - RIGHT);
    const up = scale(y.low, y.high, HEIGHT - BOTTOM, TOP);
    axes(svg, across, up, x.label, y.label);
    for (const s of series) {
      const points = s.points.map(([a, b]) => `${across(a).toFixed(1)},${up(b).toFixed(1)}`).join(" ");
      svg.append(shape("polyline", { class: `line c${s.colour % COLOURS}`, points }));
    }
    holder.replaceChildren(svg, legend(series));
  }

  /** Points over time: series of {name, colour, hollow, points: [{at, value, title, best}]}. */
  function timeline(holder, { label, yLabel, series }) {
    const svg = frame(label);
    const every = series.flatMap((s) => s.points);
    const across = scale(...padded(every.map((p) => p.at), 0.05), LEFT, WIDTH - RIGHT);
    const up = scale(...padded(every.map((p) => p.value), 0.08), HEIGHT - BOTTOM, TOP);
    const years = across.high - across.low;
    across.ticks = years > 1.5 ? { at: ticks(across.low, across.high).at.filter((t) => Number.isInteger(t)), digits: 0 }
      : { at: [across.low + years * 0.1, across.low + years * 0.9], digits: 1 };
    const day = (t) => new Date(Date.UTC(2000, 0, 1) + (t - 2000) * 365.25 * 864e5).toISOString().slice(0, 10);
    axes(svg, across, up, "date", yLabel, { xText: years > 1.5 ? (t) => String(t) : day });
    for (const s of series) {
      const best = s.points.filter((p) => p.best);
      const steps = best.map((p, k) => `${k ? `H${across(p.at).toFixed(1)}V` : `M${across(p.at).toFixed(1)} `}${up(p.value).toFixed(1)}`);
      if (best.length) svg.append(shape("path", { class: `line c${s.colour % COLOURS}`, d: `${steps.join("")}H${WIDTH - RIGHT}` }));
      for (const p of s.points) {
        const mark = shape("circle", { cx: across(p.at).toFixed(1), cy: up(p.value).toFixed(1), r: 5, class: `dot c${s.colour % COLOURS}${s.hollow ? " hollow" : ""}` });
        svg.append(explain(mark, p.title));
      }
    }
    svg.setAttribute("role", "group");
    holder.replaceChildren(svg, legend(series));
  }

  /** Pairs of values on equal axes with the line where they are equal. */
  function scatter(holder, { label, xLabel, yLabel, points }) {
    const height = 420;
    const svg = frame(label, height);
    const [low, high] = padded(points.flatMap((p) => [p.x, p.y]));
    const across = scale(low, high, LEFT, WIDTH - RIGHT), up = scale(low, high, height - BOTTOM, TOP);
    axes(svg, across, up, xLabel, yLabel, { height });
    svg.append(shape("path", { class: "rule", d: `M${across(low)} ${up(low)}L${across(high)} ${up(high)}` }));
    for (const p of points) {
      const mark = shape("circle", { cx: across(p.x).toFixed(1), cy: up(p.y).toFixed(1), r: 4.5, class: `dot c${p.colour}` });
      svg.append(explain(mark, p.title));
    }
    svg.setAttribute("role", "group");
    holder.replaceChildren(svg);
  }

  /** Intervals around zero, one row each: {name, value, low, high, colour, title}. */
  function intervals(holder, { label, xLabel, rows }) {
    const step = 30, height = TOP + rows.length * step + BOTTOM, left = 132;
    const svg = frame(label, height);
    const ends = rows.flatMap((r) => [r.value, r.low ?? r.value, r.high ?? r.value, 0]);
    const across = scale(...padded(ends), left, WIDTH - RIGHT);
    for (const value of across.ticks.at) {
      svg.append(shape("path", { class: "grid", d: `M${across(value).toFixed(1)} ${TOP}V${height - BOTTOM}` }));
      svg.append(text(across(value), height - BOTTOM + 17, value.toFixed(across.ticks.digits), "tick mid"));
    }
    svg.append(shape("path", { class: "rule", d: `M${across(0).toFixed(1)} ${TOP}V${height - BOTTOM}` }));
    svg.append(text((left + WIDTH - RIGHT) / 2, height - 6, xLabel, "axis mid"));
    rows.forEach((row, k) => {
      const y = TOP + (k + 0.5) * step;
      svg.append(text(left - 12, y + 4, row.name, "name end"));
      const mark = shape("g", { class: `c${row.colour}` });
      if (row.low !== null) mark.append(shape("path", { class: "spread", d: `M${across(row.low).toFixed(1)} ${y}H${across(row.high).toFixed(1)}` }));
      mark.append(shape("circle", { class: "dot", cx: across(row.value).toFixed(1), cy: y, r: 5 }));
      svg.append(explain(mark, row.title));
    });
    svg.setAttribute("role", "group");
    holder.replaceChildren(svg);
  }

  return { lines, timeline, scatter, intervals, explain, COLOURS };
})();
