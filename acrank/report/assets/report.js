"use strict";
const FIRST_ROWS = 50; // of a long table: those of its first page
const status = document.getElementById("report-status");

/** Text of what `acrank.report.packing.packed` made, or null where the data is not packed. */
async function unpacked(data) {
  if (!data || typeof data.gzip !== "string") return null;
  const bytes = Uint8Array.from(atob(data.gzip), (one) => one.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

/** What `acrank.report.packing.page_json` put into the page. */
async function dataOf(id) {
  const data = JSON.parse(document.getElementById(id).textContent);
  const text = await unpacked(data);
  return text === null ? data : JSON.parse(text);
}

async function library(id) {
  const text = await unpacked(JSON.parse(document.getElementById(id).textContent));
  const address = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
  const found = await import(address);
  URL.revokeObjectURL(address);
  return found;
}

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

function showTheme() {
  const button = document.getElementById("theme");
  button.setAttribute("aria-pressed", String(isDark()));
  document.documentElement.classList.toggle("dark", isDark()); // DataTables' own name for it
}

function initTheme() {
  const button = document.getElementById("theme");
  button.hidden = false;
  button.addEventListener("click", () => {
    document.documentElement.dataset.theme = isDark() ? "light" : "dark";
    showTheme();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showTheme);
  showTheme();
}

/** The rows of a table past the first ones, taken out of the document. */
function takeOut(table, most) {
  const body = table.tBodies[0];
  if (body.rows.length <= most) return [];
  const range = document.createRange();
  range.setStartAfter(body.rows[most - 1]);
  range.setEndAfter(body.lastChild);
  return [...range.extractContents().children];
}

async function initTables(DataTable) {
  for (const table of document.querySelectorAll("table.interactive")) {
    const rows = table.tBodies[0].rows.length;
    const rest = takeOut(table, FIRST_ROWS); // DataTables reads rows much faster outside the document
    const shown = new DataTable(table, {
      order: [],
      pageLength: Number(table.dataset.pageLength || FIRST_ROWS),
      lengthMenu: [25, 50, 100, 250, { label: "all", value: -1 }],
      paging: rows > 25,
      autoWidth: false,
      orderCellsTop: true,
      columnDefs: [{ targets: "no-sort", orderable: false }],
      layout: { topStart: "search", topEnd: rows > 25 ? "pageLength" : null, bottomStart: "info" },
      language: { search: "Filter:", searchPlaceholder: "model, score, reason …" },
    });
    if (rest.length) shown.rows.add(rest).draw();
    const outer = table.closest(".scroll");
    const inner = table.parentElement; // the filter stays in place where the table scrolls
    for (const name of ["tabindex", "role", "aria-label"]) {
      inner.setAttribute(name, outer.getAttribute(name));
      outer.removeAttribute(name);
    }
    outer.classList.remove("scroll");
    inner.classList.add("scroll");
    const bands = () => {
      const order = shown.order();
      table.classList.toggle("by-rank", order.length === 0 || (order[0][0] === 0 && order[0][1] === "asc"));
    };
    shown.on("order", bands);
    bands();
    for (const filter of document.querySelectorAll(`select[data-filters="${table.id}"]`)) {
      filter.closest(".filter").hidden = false;
      filter.addEventListener("change", () => {
        const wanted = filter.value;
        const column = Number(filter.dataset.column);
        shown.column(column).search(wanted, { exact: wanted !== "" }).draw();
      });
    }
  }
}

// where a table is wider than its box, a line above it says so, and the box shows that it goes on
function tellWidths() {
  for (const hint of document.querySelectorAll(".wider")) {
    const table = document.getElementById(hint.dataset.of);
    const box = table.closest(".scroll");
    const tell = () => {
      const beyond = box.scrollWidth - box.clientWidth;
      hint.hidden = beyond <= 1;
      box.classList.toggle("continues", beyond - box.scrollLeft > 1);
    };
    const observer = new ResizeObserver(tell);
    observer.observe(box);
    observer.observe(table);
    box.addEventListener("scroll", tell, { passive: true });
    tell();
  }
}

function chartConfig(narrow) {
  const ink = { labelColor: "currentColor", titleColor: "currentColor" };
  const lines = { gridColor: "currentColor", gridOpacity: 0.12, domainColor: "currentColor", tickColor: "currentColor" };
  return {
    background: "transparent",
    font: "system-ui, sans-serif",
    view: { stroke: null },
    axis: { ...ink, ...lines, labelLimit: narrow ? 120 : 260, titleFontWeight: 500 },
    legend: { ...ink, orient: "top", titleFontWeight: 500 },
    text: { color: "currentColor" },
  };
}

/** A moment in which the page has nothing else to do: what a reader does comes before the next chart. */
function idle() {
  return new Promise((resolve) => (window.requestIdleCallback ?? setTimeout)(resolve));
}

async function initCharts() {
  const page = await dataOf("page-data");
  const narrow = innerWidth < 700;
  for (const chart of page.charts) {
    await idle();
    const place = document.getElementById(`chart-${chart.id}`);
    const datasets = Object.fromEntries(chart.data.map((name) => [name, page.datasets[name]]));
    const spec = { ...chart.spec, datasets, description: chart.description };
    await vegaEmbed(place, spec, {
      renderer: "svg",
      ast: true, // expressions are interpreted: the page's policy forbids eval
      logLevel: 1, // errors
      config: chartConfig(narrow),
      actions: { export: true, source: false, compiled: false, editor: false },
      downloadFileName: `acrank-${chart.id}`,
      i18n: { CLICK_TO_VIEW_ACTIONS: `Save the chart "${chart.title}"` },
    });
    const menu = place.querySelector("summary");
    menu.setAttribute("aria-label", `Save the chart "${chart.title}"`);
  }
}

/** Long tables in closed details become elements when these are opened. */
function initDetails() {
  for (const later of document.querySelectorAll("details > noscript")) {
    later.parentElement.addEventListener("toggle", () => (later.outerHTML = later.textContent), { once: true });
  }
}

function initRecord() {
  const button = document.getElementById("download");
  button.hidden = false;
  button.addEventListener("click", async () => {
    const text = JSON.stringify(await dataOf("record"), null, 1);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    link.download = "run.json";
    link.click();
    URL.revokeObjectURL(link.href);
  });
}

async function start() {
  initTheme();
  initRecord();
  initDetails();
  const tables = await library("datatables");
  await initTables(tables.default);
  tellWidths();
  document.documentElement.dataset.ready = "tables";
  await idle();
  await library("vega");
  await initCharts();
  document.documentElement.dataset.ready = "yes";
  status.textContent = "Tables and charts are ready.";
}

start().catch((error) => {
  status.textContent = `Part of this page could not be shown: ${error.message}`;
  status.classList.add("failed");
  throw error;
});
