"use strict";
// Zoom and search of the flame graph; without it the graph is a still picture with tooltips.
(() => {
  const graph = document.getElementById("flame");
  if (!graph) return;
  const boxes = [...graph.querySelectorAll("svg")].map((node) => ({
    node, left: Number(node.dataset.left), width: Number(node.dataset.width), depth: Number(node.dataset.depth),
    name: node.dataset.name.toLowerCase(),
  }));
  const status = document.getElementById("flame-status");
  const input = document.getElementById("flame-search");
  document.getElementById("flame-tools").hidden = false;

  function zoom(to) {
    const end = to.left + to.width;
    for (const box of boxes) {
      const inside = box.left < end - 1e-6 && box.left + box.width > to.left + 1e-6;
      const above = box.depth < to.depth;
      box.node.style.display = inside ? "" : "none";
      if (!inside) continue;
      const left = above ? 0 : ((box.left - to.left) / to.width) * 100;
      const width = above ? 100 : (box.width / to.width) * 100;
      box.node.setAttribute("x", left + "%");
      box.node.setAttribute("width", width + "%");
    }
  }
  function search() {
    const wanted = input.value.trim().toLowerCase();
    let found = 0;
    for (const box of boxes) {
      const hit = wanted !== "" && box.name.includes(wanted);
      box.node.classList.toggle("found", hit);
      if (hit) found += 1;
    }
    status.textContent = wanted === "" ? "" : found + (found === 1 ? " box found" : " boxes found");
  }
  // One stop for the tab key; from there the arrow keys lead to what is beside, above or below.
  const middle = (box) => Number.parseFloat(box.node.getAttribute("x")) + Number.parseFloat(box.node.getAttribute("width")) / 2;
  const distance = (from, to) => Math.abs(middle(from) - middle(to));
  function next(from, key) {
    const shown = boxes.filter((box) => box !== from && box.node.style.display !== "none");
    const rows = { ArrowUp: from.depth - 1, ArrowDown: from.depth + 1, ArrowLeft: from.depth, ArrowRight: from.depth };
    const row = shown.filter((box) => box.depth === rows[key]);
    const side = { ArrowLeft: -1, ArrowRight: 1 }[key];
    const chosen = side ? row.filter((box) => Math.sign(middle(box) - middle(from)) === side) : row;
    return chosen.sort((one, other) => distance(from, one) - distance(from, other))[0];
  }
  function focus(box) {
    for (const other of boxes) other.node.setAttribute("tabindex", other === box ? "0" : "-1");
    box.node.focus();
  }
  for (const box of boxes) {
    box.node.setAttribute("role", "button");
    box.node.setAttribute("tabindex", box === boxes[0] ? "0" : "-1");
    box.node.addEventListener("click", () => zoom(box));
    box.node.addEventListener("keydown", (event) => {
      const beside = next(box, event.key);
      if (event.key === "Enter" || event.key === " ") zoom(box);
      else if (beside) focus(beside);
      else return;
      event.preventDefault();
    });
  }
  input.addEventListener("input", search);
  document.getElementById("flame-reset").addEventListener("click", () => { zoom(boxes[0]); input.value = ""; search(); });
})();
