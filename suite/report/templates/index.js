"use strict";
// Filters, search and sorting of the claims. Without it the page shows all claims by paper and table.
(() => {
  const form = document.getElementById("controls");
  const list = document.getElementById("claims");
  const sections = [...list.querySelectorAll(".paper, .table")].reverse(); // tables before the papers that hold them
  const rows = [...list.querySelectorAll(".claim")].map((node) => ({ node, home: node.parentNode, text: null }));
  const words = [...form.querySelectorAll("button[data-word]")];
  const selects = [...form.querySelectorAll("select[data-key]")];
  const { search, sort, all, found, none } = Object.fromEntries(
    ["search", "sort", "all", "found", "none"].map((id) => [id, document.getElementById(id)]));
  const flat = document.createElement("ol");
  flat.className = "list flat";

  const number = (text) => (text === "" ? -Infinity : Number(text));
  const down = (key) => (a, b) => number(b.node.dataset[key]) - number(a.node.dataset[key]);
  const text = (key, sign) => (a, b) => sign * a.node.dataset[key].localeCompare(b.node.dataset[key]);
  const orders = { claimed: down("claimed"), observed: down("observed"), date: text("date", -1),
    word: (a, b) => number(a.node.dataset.rank) - number(b.node.dataset.rank) };

  function filter() {
    const pressed = words.filter((one) => one.ariaPressed === "true").map((one) => one.dataset.word);
    const wanted = selects.filter((one) => one.value !== "").map((one) => [one.dataset.key, one.value]);
    const terms = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const data = row.node.dataset;
      let fits = (pressed.length === 0 || pressed.includes(data.word)) && wanted.every(([key, value]) => data[key] === value);
      if (fits && terms.length > 0) {
        row.text ??= row.node.textContent.toLowerCase() + " " + data.paper.toLowerCase() + " " + data.table.toLowerCase();
        fits = terms.every((term) => row.text.includes(term));
      }
      row.node.hidden = !fits;
      shown += fits;
    }
    for (const section of sections) section.hidden = section.querySelector(".claim:not([hidden])") === null;
    found.textContent = `${shown} of ${rows.length} lines`;
    none.hidden = shown > 0;
    all.hidden = pressed.length + wanted.length + terms.length === 0 && sort.value === "";
  }

  function order() {
    const compare = orders[sort.value];
    if (compare === undefined) {
      for (const row of rows) row.home.append(row.node);
      flat.remove();
    } else {
      flat.append(...[...rows].sort(compare).map((row) => row.node));
      list.prepend(flat);
    }
  }

  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", filter);
  sort.addEventListener("change", () => { order(); filter(); });
  for (const one of words) {
    one.addEventListener("click", () => { one.ariaPressed = String(one.ariaPressed !== "true"); filter(); });
  }
  all.addEventListener("click", () => {
    form.reset();
    for (const one of words) one.ariaPressed = "false";
    order();
    filter();
    search.focus();
  });
  form.hidden = false;
  form.reset();
  filter();
})();
