"use strict";
// The gallery of all questions. What others wrote is put in by textContent alone.
(async () => {
  const byId = (id) => document.getElementById(id);
  const form = byId("filters"), list = byId("found"), count = byId("count"), pages = byId("pages");
  const SIZE = 48, OUTCOMES = { w: "wrong", r: "right", i: "invalid", u: "unscored" };
  const FIELDS = ["mode", "skill", "method", "answerer", "outcome", "from", "to", "text"];

  async function unpacked(id) {
    const text = atob(byId(id).textContent.trim()), bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).json();
  }

  const { names, columns } = await unpacked("rows");
  const pictures = JSON.parse(byId("pictures").textContent);
  const total = columns.step.length, page = { rows: [], first: 0 };
  const modeOf = new Map(names.modes.map(([id], place) => [id, place]));
  let texts = null;

  function made(tag, text, kind) {
    const element = document.createElement(tag);
    if (kind) element.className = kind;
    if (text !== undefined) element.textContent = text;
    return element;
  }

  function bidi(tag, text, kind) {
    const element = made(tag, undefined, kind);
    element.append(made("bdi", text));
    return element;
  }

  function offer(name, options) {
    for (const [value, words] of options) {
      const option = made("option", words.length > 90 ? words.slice(0, 89) + "…" : words);
      option.value = value;
      form.elements[name].append(option);
    }
    form.elements[name].closest("label").hidden = options.length < (name === "mode" || name === "skill" ? 1 : 2);
  }

  function searched() {
    if (!texts) {
      const { text, answer, reason, key } = columns;
      texts = text.map((each, i) => `${each}\n${answer[i]}\n${reason[i]}\n${key[i]}`.toLowerCase());
    }
    return texts;
  }

  function wanted() {
    const value = Object.fromEntries(FIELDS.map((name) => [name, form.elements[name].value.trim()]));
    const tests = [], number = (text) => (text === "" ? null : Number(text));
    const [from, to] = [number(value.from), number(value.to)];
    if (value.mode) tests.push((i) => columns.modes[i].includes(modeOf.get(value.mode)));
    if (value.skill) tests.push((i) => columns.skills[i].includes(Number(value.skill)));
    if (value.method) tests.push((i) => columns.method[i] === Number(value.method));
    if (value.answerer) tests.push((i) => columns.answerer[i] === Number(value.answerer));
    if (value.outcome) tests.push((i) => columns.outcome[i] === value.outcome);
    if (from !== null) tests.push((i) => columns.step[i] >= from);
    if (to !== null) tests.push((i) => columns.step[i] <= to);
    for (const word of value.text.toLowerCase().split(/\s+/).filter(Boolean)) tests.push((i) => searched()[i].includes(word));
    return (i) => tests.every((test) => test(i));
  }

  function line(definitions, name, text, kind) {
    if (!text) return;
    definitions.append(made("dt", name), bidi("dd", text, kind));
  }

  function card(i) {
    const item = made("li"), told = made("div"), outcome = OUTCOMES[columns.outcome[i]];
    const picture = pictures[columns.picture[i]];
    if (picture) {
      const image = made("img");
      image.src = picture;
      image.alt = "the picture asked about";
      image.loading = "lazy";
      if (picture.startsWith("data:image/png")) image.className = "pixelated";
      item.append(image);
    }
    told.append(bidi("p", columns.text[i] || "(no question)", "question"));
    const definitions = made("dl");
    line(definitions, "answered", columns.answer[i], outcome === "wrong" ? "wrong" : "");
    line(definitions, "judged", outcome + (columns.votes[i] ? ` by ${columns.votes[i]} votes` : ""), "");
    line(definitions, "why", columns.why[i], "");
    told.append(definitions);
    if (columns.reason[i]) told.append(bidi("p", columns.reason[i], "reason"));
    const tags = [...columns.modes[i].map((mode) => `mode ${names.modes[mode][0]}`), ...columns.skills[i].map((skill) => names.skills[skill])];
    if (tags.length) told.append(bidi("p", tags.join(", "), "source"));
    told.append(bidi("p", `${names.methods[columns.method[i]]}, step ${columns.step[i]}, ${columns.key[i]}`, "source"));
    item.append(told);
    return item;
  }

  function show(first) {
    const { rows } = page, last = Math.min(first + SIZE, rows.length);
    page.first = first;
    list.replaceChildren(...rows.slice(first, last).map(card));
    const whole = rows.length === total ? "" : ` of ${total.toLocaleString("en")}`;
    count.textContent = rows.length ? `${rows.length.toLocaleString("en")}${whole} questions` : `No question${whole} is like that.`;
    pages.hidden = rows.length <= SIZE;
    byId("place").textContent = `${(first + 1).toLocaleString("en")} to ${last.toLocaleString("en")}`;
    byId("before").disabled = first === 0;
    byId("after").disabled = last >= rows.length;
  }

  function filter(moved = true) {
    const test = wanted();
    page.rows = [];
    for (let i = 0; i < total; i++) if (test(i)) page.rows.push(i);
    show(0);
    const chosen = FIELDS.map((name) => [name, form.elements[name].value]).filter(([, value]) => value !== "");
    const address = chosen.length ? `#questions?${new URLSearchParams(chosen)}` : "#questions";
    if (moved && location.hash !== address) history.replaceState(null, "", address);
  }

  function choose(values) {
    for (const name of FIELDS) form.elements[name].value = values[name] ?? "";
    filter();
    byId("questions").scrollIntoView();
  }

  function fromAddress() {
    if (!location.hash.startsWith("#questions?")) return false;
    choose(Object.fromEntries(new URLSearchParams(location.hash.slice("#questions?".length))));
    return true;
  }

  function cell(value) {
    const text = String(value), safe = /^\s*[=+\-@\t\r\n]/.test(text) ? `'${text}` : text;
    return `"${safe.replaceAll('"', '""')}"`;
  }

  function save() {
    const head = ["question", "answer", "outcome", "reason", "votes", "asked by", "step", "picture", "modes", "skills"];
    const lines = page.rows.map((i) => [
      columns.text[i], columns.answer[i], OUTCOMES[columns.outcome[i]], columns.reason[i], columns.votes[i],
      names.methods[columns.method[i]], columns.step[i], columns.key[i],
      columns.modes[i].map((mode) => names.modes[mode][0]).join("; "), columns.skills[i].map((skill) => names.skills[skill]).join("; "),
    ]);
    const link = made("a");
    link.href = URL.createObjectURL(new Blob([[head, ...lines].map((row) => row.map(cell).join(",")).join("\r\n")], { type: "text/csv" }));
    link.download = "questions.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  offer("mode", names.modes.map(([id, words]) => [id, words]));
  offer("skill", names.skills.map((words, place) => [place, words]).sort((a, b) => a[1].localeCompare(b[1])));
  offer("method", names.methods.map((words, place) => [place, words]));
  offer("answerer", names.answerers.map((words, place) => [place, words]).filter(([, words]) => words));
  offer("outcome", Object.entries(OUTCOMES).filter(([letter]) => columns.outcome.includes(letter)));
  form.elements.from.closest("fieldset").hidden = !columns.step.some((step) => step !== columns.step[0]);

  let waiting = 0;
  form.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(filter, 120);
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  byId("clear").addEventListener("click", () => choose({}));
  byId("save").addEventListener("click", save);
  byId("before").addEventListener("click", () => show(Math.max(0, page.first - SIZE)));
  byId("after").addEventListener("click", () => show(page.first + SIZE));
  addEventListener("hashchange", fromAddress);
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-skill], a[data-mode], a[data-outcome]");
    if (!link) return;
    event.preventDefault();
    const { skill, mode, outcome } = link.dataset;
    const place = names.skills.indexOf(skill);
    choose({ mode, outcome, skill: place < 0 ? "" : String(place) });
  });
  for (const part of document.querySelectorAll("[data-scripted]")) part.hidden = false;
  if (!fromAddress()) {
    form.elements.outcome.value = columns.outcome.includes("w") ? "w" : "";
    filter(false);
  }
  document.documentElement.dataset.ready = "yes";
})();
