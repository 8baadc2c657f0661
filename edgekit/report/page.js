"use strict";
const said = document.getElementById("said");
const order = new Intl.Collator("en", {numeric: true});

// A cell sorts by data-by where it has one, else by its text; what is not known comes last either way.
function keyOf(row, index) {
  const cell = row.cells[index];
  return cell.dataset.by ?? cell.textContent.trim();
}

function sortBy(head, index) {
  const table = head.closest("table"), body = table.tBodies[0];
  const numeric = head.classList.contains("right");
  const was = head.getAttribute("aria-sort");
  const down = was ? was === "ascending" : numeric;
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const rows = Array.from(body.rows, row => [keyOf(row, index), row]);
  rows.sort(([one], [other]) => {
    if (one === "" || other === "") return (one === "") - (other === "");
    const found = numeric ? one - other : order.compare(one, other);
    return down ? -found : found;
  });
  body.append(...rows.map(([, row]) => row));
  said.textContent = `sorted by ${head.textContent}, ${down ? "descending" : "ascending"}`;
}

for (const table of document.querySelectorAll("table")) {
  Array.from(table.tHead.rows[0].cells, (head, index) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => sortBy(head, index));
  });
}

const tip = document.getElementById("tip");
const hide = () => { tip.hidden = true; };

function show(spot) {
  const name = document.createElement("b");
  name.textContent = spot.dataset.name;
  tip.replaceChildren(name, spot.dataset.text);
  tip.hidden = false;
  const at = spot.firstElementChild.getBoundingClientRect(), own = tip.getBoundingClientRect();
  const left = Math.min(at.right + 10, document.documentElement.clientWidth - own.width - 8);
  const above = at.top - own.height - 8;
  tip.style.left = `${Math.max(left, 8)}px`;
  tip.style.top = `${above > 8 ? above : at.bottom + 8}px`;
}

// Each plot is one stop of the Tab key; within it the arrow keys go from point to point, from left to right.
for (const plot of document.querySelectorAll(".plot > svg")) {
  const place = spot => spot.firstElementChild.getBoundingClientRect().left;
  const across = Array.from(plot.querySelectorAll(".spot")).sort((one, other) => place(one) - place(other));
  for (const spot of across) {
    spot.tabIndex = spot === across[0] ? 0 : -1;
    spot.addEventListener("pointerenter", () => show(spot));
    spot.addEventListener("pointerleave", hide);
    spot.addEventListener("focus", () => show(spot));
    spot.addEventListener("blur", hide);
  }
  plot.addEventListener("keydown", event => {
    if (event.key === "Escape") hide();
    const step = {ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1}[event.key];
    if (!step) return;
    event.preventDefault();
    const next = across[(across.indexOf(document.activeElement) + step + across.length) % across.length];
    for (const spot of across) spot.tabIndex = spot === next ? 0 : -1;
    next.focus();
  });
}
addEventListener("scroll", hide, {passive: true});
