// A track's page: PCK curves of the chosen rows, progress over time, a link that compares two.
"use strict";

addEventListener("DOMContentLoaded", () => {
  const { load, embedded, readState, writeState, plot } = HandBench;
  const holder = document.querySelector("[data-figures]");
  const given = embedded("figures");
  if (!holder || !given) return;
  const root = document.querySelector("[data-board][data-pick]");
  const chosen = new Map(); // row -> colour, in the order of choosing
  holder.hidden = false;

  function boxes() {
    return root ? [...root.querySelectorAll("tr[data-row] td.pick input")] : [];
  }

  function choose(row, on) {
    if (!on) chosen.delete(row);
    else if (!chosen.has(row)) {
      const taken = new Set(chosen.values());
      let free = 0;
      while (taken.has(free)) free += 1;
      chosen.set(row, free);
    }
  }

  async function draw() {
    const place = holder.querySelector("[data-curves]");
    const link = holder.querySelector("[data-compare]");
    const known = [...chosen.keys()].filter((row) => given.rows[row]?.data);
    if (link) {
      link.hidden = known.length < 2;
      const [a = "", b = ""] = known;
      link.href = `${link.href.split("#")[0]}#${new URLSearchParams({ a, b })}`;
    }
    if (!place) return;
    const asked = known.join(" ");
    const found = await Promise.all(known.map((row) => load(given.rows[row].data, given.root + given.rows[row].data).catch(() => null)));
    if (asked !== [...chosen.keys()].filter((row) => given.rows[row]?.data).join(" ")) return;
    const series = known
      .map((row, k) => ({ row, curve: found[k]?.curve }))
      .filter(({ curve }) => curve)
      .map(({ row, curve }) => ({
        name: given.rows[row].name,
        colour: chosen.get(row),
        points: curve.at.map((t, k) => [t, 100 * curve.pck[k]]),
      }));
    if (!series.length) {
      const note = document.createElement("p");
      note.className = "empty";
      note.textContent = "No row is chosen.";
      place.replaceChildren(note);
      return;
    }
    plot.lines(place, {
      label: `PCK curves of ${series.map((s) => s.name).join(", ")}`,
      x: { label: `threshold, ${given.unit}` }, y: { label: "PCK, %", low: 0, high: 100 }, series,
    });
  }

  function restore() {
    const state = readState();
    const rows = state.has("rows") ? state.get("rows").split(" ").filter(Boolean) : given.first;
    chosen.clear();
    for (const row of rows) if (given.rows[row]) choose(row, true);
    for (const box of boxes()) box.checked = chosen.has(box.closest("tr").dataset.row);
    draw();
  }

  root?.addEventListener("picked", ({ detail }) => {
    choose(detail.name, detail.on);
    writeState("rows", [...chosen.keys()].join(" ") || " ");
    draw();
  });
  addEventListener("hashchange", restore);
  restore();

  const year = (date) => {
    const [y, m = 7, d = 1] = date.split("-").map(Number);
    return 2000 + (Date.UTC(y, m - 1, d) - Date.UTC(2000, 0, 1)) / 864e5 / 365.25;
  };
  const over = holder.querySelector("[data-progress]");
  const factor = given.percent ? 100 : 1;
  const series = given.progress.filter((s) => s.points.length).map((s, colour) => ({
    name: s.kind === "reproduced" ? `reproduced; ${s.label}` : s.label || s.kind,
    colour,
    hollow: s.kind === "reproduced",
    points: s.points.map((p) => ({
      at: year(p.date), value: factor * p.value, best: p.best,
      title: `${p.method}\n${(factor * p.value).toFixed(2)} ${given.percent ? "%" : given.unit}, ${p.date}`,
    })),
  }));
  const days = new Set(series.flatMap((s) => s.points.map((p) => p.at)));
  if (days.size > 1) plot.timeline(over, { label: `${given.metric} over time`, yLabel: `${given.metric}, ${given.percent ? "%" : given.unit}`, series });
  else over.closest(".panel").hidden = true;
});
