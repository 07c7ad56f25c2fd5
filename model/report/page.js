for (const table of document.querySelectorAll("table.sortable")) {
  table.querySelectorAll("thead th").forEach((head, column) => head.addEventListener("click", () => {
    const up = head.getAttribute("aria-sort") === "descending" || !head.hasAttribute("aria-sort") && column < 2;
    table.querySelectorAll("th").forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const body = table.tBodies[0];
    const value = (row) => Number(row.cells[column].dataset.v ?? NaN);
    const text = (row) => row.cells[column].textContent;
    const rows = [...body.rows].sort((a, b) => {
      const x = value(a), y = value(b);
      if (isNaN(x) && isNaN(y)) return text(a).localeCompare(text(b)) * (up ? 1 : -1);
      if (isNaN(x) || isNaN(y)) return isNaN(x) ? 1 : -1;
      return (x - y) * (up ? 1 : -1);
    });
    body.append(...rows);
  }));
}
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((one) => { one.open = true; }));
