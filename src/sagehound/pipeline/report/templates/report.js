"use strict";
// The page says everything without this script; it adds tooltips at once, sorting and a search.
(() => {
  const tip = document.getElementById("tip");
  // A title of SVG is shown late by browsers, and never on touch: its words move into an attribute.
  for (const title of document.querySelectorAll("svg .point > title")) {
    title.parentNode.dataset.tip = title.textContent;
    title.remove();
  }
  const show = (event) => {
    const point = event.target.closest ? event.target.closest("[data-tip]") : null;
    tip.hidden = !point;
    if (!point) return;
    tip.textContent = point.dataset.tip;
    const box = tip.getBoundingClientRect();
    const left = Math.min(Math.max(8, event.clientX - box.width / 2), innerWidth - box.width - 8);
    const above = event.clientY - box.height - 14;
    tip.style.left = `${left}px`;
    tip.style.top = `${above < 8 ? event.clientY + 18 : above}px`;
  };
  for (const svg of document.querySelectorAll("svg.chart")) {
    for (const kind of ["pointermove", "pointerdown"]) svg.addEventListener(kind, show);
    svg.addEventListener("pointerleave", () => { tip.hidden = true; });
  }
  addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });

  const valueOf = (row, column) => {
    const cell = row.cells[column];
    const words = (cell.dataset.value ?? cell.textContent).trim();
    const number = words === "" ? NaN : Number(words.replace(/,/g, "").replace(/\s*(%|best)$/, ""));
    if (words === "" || words === "–") return null;
    return Number.isNaN(number) ? words : number;
  };
  // What has no value comes last, whichever way the others go.
  const compare = (a, b, direction) => {
    if (a === null || b === null) return (a === null) - (b === null);
    if (typeof a === "number" && typeof b === "number") return (a - b) * direction;
    return String(a).localeCompare(String(b), undefined, { numeric: true }) * direction;
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    for (const head of table.tHead.rows[0].cells) {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const rising = head.getAttribute("aria-sort") !== "ascending";
        for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", rising ? "ascending" : "descending");
        const rows = [...table.tBodies[0].rows];
        const column = head.cellIndex;
        rows.sort((a, b) => compare(valueOf(a, column), valueOf(b, column), rising ? 1 : -1));
        table.tBodies[0].append(...rows);
      });
    }
  }

  for (const input of document.querySelectorAll("input[data-search]")) {
    const rows = [...document.getElementById(input.dataset.search).tBodies[0].rows];
    const count = document.getElementById("class-count");
    const all = count.textContent;
    input.addEventListener("input", () => {
      const words = input.value.trim().toLowerCase();
      let found = 0;
      for (const row of rows) {
        row.hidden = !row.textContent.toLowerCase().includes(words);
        if (!row.hidden) found += 1;
      }
      count.textContent = words ? `${found} of ${rows.length}` : all;
    });
  }
})();
