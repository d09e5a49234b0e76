// Filters, sorting, copying, the drawer's focus, and somebody's own numbers. Without it the page can be read as it is.
"use strict";
(() => {
  const form = document.querySelector(".controls");
  const status = form.querySelector(".status");
  const tables = [...document.querySelectorAll("section.table")];
  const metrics = [...tables[0]?.querySelectorAll("th[data-metric]") ?? []].map((th) => th.dataset.metric);
  form.hidden = false;
  document.querySelectorAll(".copy").forEach((part) => { part.hidden = false; });

  // Filters, kept in the address.
  const filters = ["dataset", "metrics", "method"];
  function filter() {
    const chosen = Object.fromEntries(filters.map((name) => [name, form.elements[name].value]));
    for (const table of tables) {
      table.hidden = chosen.dataset !== "" && table.dataset.dataset !== chosen.dataset;
      for (const part of table.querySelectorAll("[data-family]")) part.hidden = chosen.metrics !== "" && part.dataset.family !== chosen.metrics;
      for (const row of table.querySelectorAll("tr[data-method]")) row.hidden = chosen.method !== "" && row.dataset.method !== chosen.method;
    }
    const query = new URLSearchParams(filters.filter((name) => chosen[name]).map((name) => [name, chosen[name]]));
    history.replaceState(null, "", (query.size ? `?${query}` : location.pathname) + location.hash);
  }
  const asked = new URLSearchParams(location.search);
  for (const name of filters) {
    const field = form.elements[name];
    if ([...field.options].some((option) => option.value === asked.get(name))) field.value = asked.get(name);
    field.addEventListener("change", filter);
  }
  if (filters.some((name) => form.elements[name].value)) filter();

  // Sorting by a column; rows that have no number stay last.
  function sort(table, column, ascending) {
    for (const body of table.tBodies) {
      const rows = [...body.querySelectorAll("tr[data-method]")];
      const key = (row) => column === 0 ? row.cells[0].textContent.trim().toLowerCase() : Number(row.cells[column].dataset.value ?? NaN);
      rows.sort((a, b) => {
        const [x, y] = [key(a), key(b)];
        if (column === 0) return ascending ? x.localeCompare(y) : y.localeCompare(x);
        return Number.isNaN(x) - Number.isNaN(y) || (ascending ? x - y : y - x);
      });
      body.append(...rows);
    }
  }
  for (const table of document.querySelectorAll("section.table table")) {
    table.querySelectorAll("thead th").forEach((th, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...th.childNodes);
      th.append(button);
      button.addEventListener("click", () => {
        const ascending = th.getAttribute("aria-sort") === "descending";
        table.querySelectorAll("th[aria-sort]").forEach((other) => other.removeAttribute("aria-sort"));
        th.setAttribute("aria-sort", ascending ? "ascending" : "descending");
        sort(table, column, ascending);
      });
    });
  }

  // Copying what is shown of a table.
  const text = (cell, part) => cell.querySelector(part)?.textContent.trim() ?? "";
  function grid(table) {
    const shown = (row) => [...row.cells].filter((cell) => !cell.hidden);
    const rows = [...table.querySelectorAll("tr[data-method]")].filter((row) => !row.hidden);
    const head = shown(table.tHead.rows[0]).map((cell) => cell.textContent.trim());
    const lines = rows.flatMap((row) => {
      const [name, ...cells] = shown(row), title = name.textContent.trim();
      const ours = [title, ...cells.map((cell) => row.matches(".yours") ? cell.textContent.trim() : `${text(cell, ".ours")} ${text(cell, ".signs")}`.trim() || "–")];
      const printed = cells.map((cell) => text(cell, ".printed > span"));
      return printed.some(Boolean) ? [ours, [`${title}, printed`, ...printed]] : [ours];
    });
    return [head, ...lines];
  }
  const latexOf = (cell) => cell.replace(/[\\{}$&#%_~^]/g, (c) => ({ "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}" })[c] ?? `\\${c}`)
    .replaceAll("±", "$\\pm$").replaceAll("↑", "$\\uparrow$").replaceAll("↓", "$\\downarrow$").replaceAll("−", "$-$")
    .replaceAll("†", "$\\dagger$").replaceAll("‡", "$\\ddagger$").replaceAll("§", "\\S{}").replaceAll("¶", "\\P{}").replaceAll("–", "--");
  const writers = {
    markdown: ([head, ...rows]) => [head, head.map(() => "---"), ...rows].map((row) => `| ${row.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`).join("\n"),
    latex: ([head, ...rows]) => [`\\begin{tabular}{l${"c".repeat(head.length - 1)}}`, "\\toprule", `${head.map(latexOf).join(" & ")} \\\\`, "\\midrule",
      ...rows.map((row) => `${row.map(latexOf).join(" & ")} \\\\`), "\\bottomrule", "\\end{tabular}"].join("\n"),
  };
  async function copy(button) {
    const table = button.closest("section.table");
    const written = writers[button.dataset.as](grid(table.querySelector("table")));
    try {
      await navigator.clipboard.writeText(written);
      status.textContent = `Copied ${table.querySelector("h3").textContent.trim()}.`;
    } catch {
      const field = Object.assign(document.createElement("textarea"), { value: written, readOnly: true, rows: 8, ariaLabel: "text to copy" });
      field.style.width = "100%";
      button.parentElement.append(field);
      field.select();
      status.textContent = "The browser did not allow copying; the text is selected below the table.";
    }
  }
  document.querySelectorAll(".copy button").forEach((button) => button.addEventListener("click", () => copy(button)));

  // The drawer of a cell: focus goes in, and back where it came from.
  let opener = null;
  document.addEventListener("click", (event) => {
    const link = event.target.closest("td a[href^='#cell.']");
    if (link) opener = link;
  });
  function arrived() {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    target?.closest("details")?.setAttribute("open", "");
    if (target?.matches(".drawer")) target.focus({ preventScroll: true });
  }
  function close() {
    const from = opener;
    const [x, y] = [scrollX, scrollY];
    location.hash = "tables";
    scrollTo(x, y);
    from?.focus({ preventScroll: true });
    opener = null;
  }
  addEventListener("hashchange", arrived);
  addEventListener("keydown", (event) => {
    if (event.key === "Escape" && document.querySelector(".drawer:target")) close();
  });
  document.querySelectorAll(".drawer .close").forEach((link) => link.addEventListener("click", (event) => { event.preventDefault(); close(); }));
  arrived();

  // Somebody's own numbers, beside ours; they never leave the browser.
  function parse(content) {
    const rows = [[""]];
    let quoted = false;
    for (let i = 0; i < content.length; i++) {
      const c = content[i], row = rows.at(-1);
      if (quoted) {
        if (c !== '"') row[row.length - 1] += c;
        else if (content[i + 1] === '"') { row[row.length - 1] += c; i++; } else quoted = false;
      } else if (c === '"') quoted = true;
      else if (c === ",") row.push("");
      else if (c === "\n") rows.push([""]);
      else if (c !== "\r") row[row.length - 1] += c;
    }
    if (quoted) throw new Error("a quote in it is not closed, so no row could be read");
    const [head, ...body] = rows.filter((row) => row.length > 1 || row[0] !== "");
    return (body ?? []).map((row) => Object.fromEntries((head ?? []).map((name, k) => [name.replace(/^\ufeff/, "").trim(), (row[k] ?? "").trim()])));
  }
  function averaged(rows) {
    if (!rows.length) throw new Error("it has no rows");
    const needed = "mean" in rows[0] ? ["dataset", "method", "metric", "mean"] : ["dataset", "method", "metric", "seed", "value"];
    const missing = needed.filter((name) => !(name in rows[0]));
    if (missing.length) throw new Error(`the column${missing.length > 1 ? "s" : ""} ${missing.join(", ")} ${missing.length > 1 ? "are" : "is"} missing; metrics.csv and per_seed.csv have dataset, method, metric, and mean or seed and value`);
    const cells = new Map();
    for (const row of rows) {
      const reading = [row.threshold, row.scoring].filter(Boolean).join(", ");
      const key = JSON.stringify([row.dataset.toLowerCase(), row.method, reading, row.profile ?? "", row.provenance ?? ""]);
      if (!cells.has(key)) cells.set(key, new Map());
      const values = cells.get(key);
      if (!values.has(row.metric)) values.set(row.metric, []);
      if ((row["mean"] ?? row.value) !== "") values.get(row.metric).push(row);
    }
    return [...cells].map(([key, values]) => [...JSON.parse(key), new Map([...values].map(([metric, found]) => [metric, summary(found)]))]);
  }
  function summary(rows) {
    const numbers = rows.map((row) => Number(row.mean ?? row.value));
    if (!numbers.length || numbers.some((x) => !Number.isFinite(x))) return null;
    const [done, failed] = [Number(rows[0].n_seeds || NaN), Number(rows[0].n_failed || 0)];
    if ("mean" in rows[0]) return { mean: numbers[0], std: rows[0].std ? Number(rows[0].std) : NaN, done, failed };
    const mean = numbers.reduce((a, b) => a + b, 0) / numbers.length;
    return { mean, std: Math.sqrt(numbers.reduce((a, x) => a + (x - mean) ** 2, 0) / (numbers.length - 1)), done: numbers.length, failed: 0 };
  }
  const short = (words) => words.length > 80 ? `${words.slice(0, 79)}…` : words;
  const ours = document.getElementById("tables").dataset;  // not the form's: its field of that name hides it
  const marks = JSON.parse(ours.marks);
  // What keeps numbers from being compared with those beside them.
  function limits(profile, provenance, values) {
    const known = [...values.values()].filter((value) => value && Number.isFinite(value.done));
    const { done, failed } = known.reduce((a, b) => b.done < a.done ? b : a, known[0] ?? {});
    const others = profile && profile !== ours.profile;
    return [
      provenance && provenance !== "real" && short(`${marks[provenance] ?? ""} ${provenance}`.trim()),
      known.length && (failed ? `${done} of ${done + failed} seeds` : `${done} seed${done === 1 ? "" : "s"}`),
      others && short(`profile ${profile}${profile === "paper" ? "" : ", not the printed protocol"}`),
    ].filter(Boolean).join("; ");
  }
  function show(name, found) {
    let shown = 0;
    const unknown = new Set();
    document.querySelectorAll(".yours").forEach((row) => row.remove());
    const readings = new Map();
    for (const [dataset, method] of found) readings.set(dataset + "\n" + method, (readings.get(dataset + "\n" + method) ?? 0) + 1);
    for (const [dataset, method, reading, profile, provenance, values] of found) {
      const places = tables.filter((table) => table.dataset.dataset.toLowerCase() === dataset);
      if (!places.length) { unknown.add(dataset); continue; }
      for (const place of places.slice(0, 1)) {
        const row = document.createElement("tr");
        row.className = provenance === "look-alike" ? "yours grey" : "yours";
        row.dataset.method = method;
        const title = document.createElement("th");
        title.scope = "row";
        title.textContent = `yours: ${short(method)}`;
        for (const words of [readings.get(dataset + "\n" + method) > 1 && reading && `(${short(reading)})`, limits(profile, provenance, values)]) {
          if (words) title.append(" ", Object.assign(document.createElement("span"), { textContent: words }));
        }
        row.append(title);
        for (const metric of metrics) {
          const cell = document.createElement("td"), value = values.get(metric);
          cell.dataset.family = place.querySelector(`th[data-metric="${metric}"]`).dataset.family;
          if (value) {
            cell.dataset.value = value.mean;
            cell.textContent = value.mean.toFixed(3) + (Number.isFinite(value.std) ? `±${value.std.toFixed(3)}` : "");
          } else cell.textContent = "–";
          row.append(cell);
        }
        place.querySelector("table").tBodies[0].append(row);
        shown++;
      }
    }
    const [first, rest] = [[...unknown].slice(0, 5).map(short), unknown.size - 5];
    status.textContent = `${short(name)}: ${shown || "no"} row${shown === 1 ? "" : "s"} shown as yours.`
      + (unknown.size ? ` No table here of ${first.join(", ")}${rest > 0 ? ` and ${rest} more` : ""}.` : "")
      + (shown && !found.some(([, , , profile, provenance]) => profile || provenance) ? " The file does not say of which profile and which data its numbers are." : "");
    filter();
  }
  async function take(file) {
    try {
      show(file.name, averaged(parse(await file.text())));
    } catch (error) {
      status.textContent = `${short(file.name)} cannot be shown: ${error.message}.`;
    }
  }
  form.elements.own.addEventListener("change", (event) => { if (event.target.files[0]) take(event.target.files[0]); });
  addEventListener("dragover", (event) => { event.preventDefault(); document.body.classList.add("dropping"); });
  addEventListener("dragleave", () => document.body.classList.remove("dropping"));
  addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dropping");
    if (event.dataTransfer.files[0]) take(event.dataTransfer.files[0]);
  });
})();
