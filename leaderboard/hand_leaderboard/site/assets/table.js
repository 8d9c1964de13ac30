// Tables of the board: sort, search, filter, choose columns and rows. The table of the page stays
// as it is (groups, captions, links); rows are moved and hidden, never made.
"use strict";

(() => {
  const { element, readState, writeState } = HandBench;

  const plain = (text) =>
    text.normalize("NFD").replace(/[\u0300-\u036f]/g, "").toLowerCase().replace(/\s+/g, " ").trim();

  class Board {
    constructor(root) {
      this.root = root;
      this.key = root.dataset.board;
      this.table = root.querySelector("table");
      this.heads = [...this.table.tHead.rows[0].cells];
      this.columns = this.heads.map((head, index) => ({ head, index, name: head.dataset.c }));
      this.groups = [...this.table.tBodies].map((body) => ({
        body,
        title: body.querySelector("tr.group"),
        rows: [...body.querySelectorAll("tr:not(.group)")],
      }));
      this.rows = this.groups.flatMap((group) => group.rows);
      this.order = new Map(this.rows.map((row, place) => [row, place]));
      this.text = new Map(this.rows.map((row) => [row, plain(row.textContent)]));
      this.filters = [];
      this.sorted = null;
      if (root.dataset.pick !== undefined) this.addPicks();
      this.addSorting();
      this.addTools();
      this.restore();
      addEventListener("hashchange", () => this.restore());
    }

    cell(row, column) {
      return row.cells[column.index];
    }

    value(row, column) {
      const cell = this.cell(row, column);
      const text = cell.dataset.v ?? (cell.firstChild ? cell.firstChild.textContent : "").trim();
      if (column.head.dataset.sort !== "number") return text === "" ? null : plain(text);
      const number = parseFloat(text);
      return Number.isNaN(number) ? null : number;
    }

    // Sorting: rows move inside their group, so that groups never mix.

    addSorting() {
      for (const column of this.columns.filter((c) => c.head.dataset.sort)) {
        const button = element("button", { type: "button", class: "sort" });
        button.append(...column.head.childNodes);
        column.head.append(button);
        button.addEventListener("click", () => {
          const first = column.head.dataset.better === "high" ? "down" : "up";
          const other = first === "up" ? "down" : "up";
          const now = this.sorted?.column === column ? this.sorted.way : null;
          const next = { [first]: other, [other]: null }[now];
          this.sort(now === null ? { column, way: first } : next ? { column, way: next } : null);
          writeState(`${this.key}.sort`, this.sorted ? `${column.name}.${this.sorted.way}` : "");
        });
      }
    }

    sort(wanted) {
      this.sorted = wanted;
      for (const { head } of this.columns) {
        if (head.dataset.sort) head.setAttribute("aria-sort", "none");
      }
      const by = (row) => (wanted ? this.value(row, wanted.column) : this.order.get(row));
      const sign = wanted?.way === "down" ? -1 : 1;
      if (wanted) {
        const way = wanted.way === "up" ? "ascending" : "descending";
        wanted.column.head.setAttribute("aria-sort", way);
      }
      for (const group of this.groups) {
        const keyed = group.rows.map((row) => [by(row), this.order.get(row), row]);
        keyed.sort(([a, at], [b, bt]) => {
          if (a === null || b === null) return (a === null) - (b === null) || at - bt;
          return sign * (a < b ? -1 : a > b ? 1 : 0) || at - bt;
        });
        group.body.append(...keyed.map(([, , row]) => row));
      }
    }

    // Search and filters hide rows; a group without a row left is hidden too.

    filter() {
      const words = plain(this.search.value).split(" ").filter(Boolean);
      let shown = 0;
      for (const group of this.groups) {
        let some = 0;
        for (const row of group.rows) {
          const fits =
            words.every((word) => this.text.get(row).includes(word)) &&
            this.filters.every(({ column, select }) =>
              select.value === "" || this.labels(row, column).includes(select.value));
          row.hidden = !fits;
          some += fits;
        }
        group.body.hidden = group.rows.length > 0 && some === 0;
        shown += some;
      }
      const all = this.rows.length;
      this.count.textContent = shown === all ? `${all} rows` : `${shown} of ${all} rows`;
    }

    labels(row, column) {
      const cell = this.cell(row, column);
      return (cell.dataset.f ?? cell.textContent).split("\n").map((t) => t.trim()).filter(Boolean);
    }

    addTools() {
      const tools = this.root.querySelector(".tools");
      const id = (what) => `${this.key}-${what}`;
      this.search = element("input", { type: "search", id: id("q"), placeholder: "Search",
        "aria-label": "Search rows", autocomplete: "off", spellcheck: "false" });
      this.search.addEventListener("input", () => {
        this.filter();
        writeState(`${this.key}.q`, this.search.value.trim());
      });
      tools.append(this.search);
      for (const column of this.columns.filter((c) => c.head.dataset.filter !== undefined)) {
        const found = [...new Set(this.rows.flatMap((row) => this.labels(row, column)))].sort();
        if (found.length < 2) continue;
        const name = column.head.dataset.filter || column.head.textContent.trim();
        const select = element("select", { id: id(column.name), "aria-label": `Filter: ${name}` },
          element("option", { value: "" }, `${name}: all`),
          ...found.map((value) => element("option", { value }, value)));
        select.addEventListener("change", () => {
          this.filter();
          writeState(`${this.key}.${column.name}`, select.value);
        });
        this.filters.push({ column, select });
        tools.append(select);
      }
      tools.append(this.columnMenu());
      this.count = element("span", { class: "count", role: "status" });
      tools.append(this.count);
      tools.hidden = false;
    }

    // Columns: what a table opens with is marked in its head; the address names what differs.

    columnMenu() {
      const menu = element("details", { class: "columns" }, element("summary", {}, "Columns"));
      const list = element("div", { class: "menu" });
      for (const column of this.columns.filter((c) => c.name && c.head.dataset.fixed === undefined)) {
        const box = element("input", { type: "checkbox" });
        const label = column.head.dataset.label || column.head.textContent.replace(/\s+/g, " ").trim();
        list.append(element("label", {}, box, label));
        column.box = box;
        box.addEventListener("change", () => {
          this.show(column, box.checked);
          const changed = this.columns
            .filter((c) => c.box && c.box.checked === (c.head.dataset.off !== undefined))
            .map((c) => c.name);
          writeState(`${this.key}.cols`, changed.join(" "));
        });
      }
      menu.append(list);
      menu.addEventListener("keydown", (event) => {
        if (event.key !== "Escape") return;
        menu.open = false;
        menu.firstChild.focus();
      });
      document.addEventListener("click", (event) => {
        if (!menu.contains(event.target)) menu.open = false;
      });
      return menu;
    }

    show(column, visible) {
      column.box.checked = visible;
      column.head.hidden = !visible;
      for (const row of this.rows) this.cell(row, column).hidden = !visible;
    }

    // Chosen rows: for curves and for comparing.

    addPicks() {
      for (const row of [this.table.tHead.rows[0], ...this.groups.map((g) => g.title)]) {
        if (!row) continue;
        if (row.classList.contains("group")) row.cells[0].colSpan += 1;
        else row.prepend(element("td", { class: "pick" }));
      }
      for (const row of this.rows) {
        const name = row.querySelector("th").firstElementChild?.textContent ?? "";
        const box = element("input", { type: "checkbox", "aria-label": `Choose ${name.trim()}` });
        box.addEventListener("change", () => this.root.dispatchEvent(
          new CustomEvent("picked", { bubbles: true, detail: { name: row.dataset.row, on: box.checked } })));
        row.prepend(element("td", { class: "pick" }, box));
      }
      for (const column of this.columns) column.index += 1;
    }

    restore() {
      const state = readState();
      this.search.value = state.get(`${this.key}.q`) ?? "";
      for (const { column, select } of this.filters) {
        select.value = state.get(`${this.key}.${column.name}`) ?? "";
        if (select.selectedIndex < 0) select.value = "";
      }
      const changed = (state.get(`${this.key}.cols`) ?? "").split(" ");
      for (const column of this.columns.filter((c) => c.box)) {
        const opens = column.head.dataset.off === undefined;
        this.show(column, opens !== changed.includes(column.name));
      }
      const [, name, way] = /^(.*)\.(up|down)$/.exec(state.get(`${this.key}.sort`) ?? "") ?? [];
      const column = this.columns.find((c) => c.name === name && c.head.dataset.sort);
      this.sort(column ? { column, way } : null);
      this.filter();
    }
  }

  addEventListener("DOMContentLoaded", () => {
    for (const root of document.querySelectorAll("[data-board]")) root.board = new Board(root);
  });
})();
