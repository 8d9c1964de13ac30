// Truth and prediction in 3D on a canvas: an orbit view of a few samples, by pointer and keyboard.
"use strict";

addEventListener("DOMContentLoaded", () => {
  const { element, embedded } = HandBench;
  const PARENTS = [-1, ...[0, 1, 2, 3, 4].flatMap((f) => [0, 1, 2, 3].map((k) => (k ? 4 * f + k : 0)))];
  const FINGERS = ["--c-wrist", "--c0", "--c1", "--c2", "--c3", "--c4"];

  class View {
    constructor(sample, number) {
      this.sample = sample;
      this.turn = -0.5;
      this.tilt = 0.35;
      this.zoom = 1.2;
      const all = sample.hands.flatMap((hand) => [...hand.gt, ...(hand.pred ?? [])]).filter(Boolean);
      this.middle = [0, 1, 2].map((k) => (Math.min(...all.map((p) => p[k])) + Math.max(...all.map((p) => p[k]))) / 2);
      this.size = Math.max(...all.map((p) => Math.hypot(...p.map((v, k) => v - this.middle[k])))) || 1;
      this.canvas = element("canvas", { tabindex: "0", role: "img",
        "aria-label": `Sample ${sample.id}: truth and prediction in 3D. Arrow keys turn it, plus and minus change the distance.` });
      this.figure = element("figure", { class: "view" }, this.canvas,
        element("figcaption", {}, element("b", {}, sample.label), " ", element("code", {}, sample.id),
          ...sample.lines.map((line) => element("small", {}, line))));
      this.listen();
      new ResizeObserver(() => this.draw()).observe(this.canvas);
    }

    listen() {
      let from = null;
      this.canvas.addEventListener("pointerdown", (event) => {
        from = [event.clientX, event.clientY];
        this.canvas.setPointerCapture(event.pointerId);
      });
      this.canvas.addEventListener("pointermove", (event) => {
        if (!from) return;
        this.move((event.clientX - from[0]) / 120, (event.clientY - from[1]) / 120);
        from = [event.clientX, event.clientY];
      });
      for (const end of ["pointerup", "pointercancel"]) this.canvas.addEventListener(end, () => { from = null; });
      this.canvas.addEventListener("wheel", (event) => {
        if (document.activeElement !== this.canvas) return; // a page that is scrolled past stays still
        event.preventDefault();
        this.nearer(event.deltaY < 0 ? 1.1 : 1 / 1.1);
      }, { passive: false });
      this.canvas.addEventListener("keydown", (event) => {
        const steps = { ArrowLeft: [-0.15, 0], ArrowRight: [0.15, 0], ArrowUp: [0, -0.15], ArrowDown: [0, 0.15] };
        if (steps[event.key]) this.move(...steps[event.key]);
        else if (event.key === "+" || event.key === "=") this.nearer(1.15);
        else if (event.key === "-") this.nearer(1 / 1.15);
        else return;
        event.preventDefault();
      });
      addEventListener("themechange", () => this.draw());
      matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    }

    move(turn, tilt) {
      this.turn += turn;
      this.tilt = Math.max(-1.5, Math.min(1.5, this.tilt + tilt));
      this.draw();
    }

    nearer(factor) {
      this.zoom = Math.max(0.5, Math.min(6, this.zoom * factor));
      this.draw();
    }

    /** Place of a point in the picture and its depth; y points down, as in the camera. */
    project([x, y, z]) {
      const [a, b, c] = [x - this.middle[0], y - this.middle[1], z - this.middle[2]];
      const across = a * Math.cos(this.turn) + c * Math.sin(this.turn);
      const into = -a * Math.sin(this.turn) + c * Math.cos(this.turn);
      const down = b * Math.cos(this.tilt) - into * Math.sin(this.tilt);
      const depth = b * Math.sin(this.tilt) + into * Math.cos(this.tilt);
      const scale = (this.zoom * 0.44 * Math.min(this.width, this.height)) / this.size * (4 / (4 + depth / this.size));
      return [this.width / 2 + across * scale, this.height / 2 + down * scale, depth];
    }

    draw() {
      const ratio = devicePixelRatio || 1;
      this.width = this.canvas.clientWidth;
      this.height = this.canvas.clientHeight;
      if (!this.width) return;
      this.canvas.width = Math.round(this.width * ratio);
      this.canvas.height = Math.round(this.height * ratio);
      const pen = this.canvas.getContext("2d");
      pen.scale(ratio, ratio);
      pen.lineCap = "round";
      const style = getComputedStyle(this.canvas);
      const colour = (name) => style.getPropertyValue(name).trim() || "#888";
      const parts = [];
      for (const hand of this.sample.hands) {
        this.bones(parts, hand.gt, () => colour("--truth"), 5, 0.6);
        if (hand.pred) this.bones(parts, hand.pred, (k) => colour(FINGERS[k ? Math.floor((k - 1) / 4) + 1 : 0]), 2.4);
      }
      parts.sort((p, q) => q.depth - p.depth);
      for (const part of parts) {
        pen.strokeStyle = pen.fillStyle = part.colour;
        pen.lineWidth = part.width;
        pen.globalAlpha = part.alpha;
        pen.beginPath();
        if (part.to) {
          pen.moveTo(...part.from);
          pen.lineTo(...part.to);
          pen.stroke();
        } else {
          pen.arc(...part.from, part.width, 0, 7);
          pen.fill();
        }
      }
      this.canvas.dataset.drawn = parts.length;
    }

    bones(parts, joints, colour, width, alpha = 1) {
      const places = joints.map((joint) => joint && this.project(joint));
      places.forEach((place, k) => {
        if (!place) return;
        parts.push({ from: place.slice(0, 2), depth: place[2], colour: colour(k), width: width * 0.75, alpha });
        const parent = PARENTS[k] >= 0 ? places[PARENTS[k]] : null;
        if (parent) parts.push({ from: parent.slice(0, 2), to: place.slice(0, 2), depth: (place[2] + parent[2]) / 2, colour: colour(k), width, alpha });
      });
    }
  }

  for (const holder of document.querySelectorAll("[data-samples]")) {
    embedded(holder.dataset.samples).forEach((sample, k) => {
      const view = new View(sample, k);
      holder.append(view.figure);
      view.draw();
    });
  }
});
