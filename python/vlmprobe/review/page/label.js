"use strict";

const find = (id) => document.getElementById(id);
let item = { at: 0, of: 0, finished: true, keys: [] };
let busy = false;

function show(next) {
  item = next;
  find("progress").textContent = `${item.done} of ${item.of} labelled` + (item.finished ? "" : `, now ${item.at + 1}`);
  find("item").hidden = item.finished;
  find("picture").hidden = item.finished;
  find("end").hidden = !item.finished;
  find("error").textContent = "";
  if (item.finished) return;
  find("picture").src = `picture/${item.at}`;
  find("question").textContent = item.question;
  find("said").hidden = item.answer === null;
  find("answer").textContent = item.answer ?? "";
  find("keys").replaceChildren(...item.keys.map(([key, label]) => button(key, label)));
}

function button(key, label) {
  const made = document.createElement("button");
  const name = document.createElement("kbd");
  made.type = "button";
  made.setAttribute("aria-pressed", String(item.said === key));
  name.textContent = key;
  made.append(name, ` ${label}`);
  made.addEventListener("click", () => say(key));
  return made;
}

async function ask(path, options) {
  if (busy) return;
  busy = true;
  try {
    const reply = await fetch(path, options);
    const said = await reply.json();
    if (reply.ok) show(said);
    else find("error").textContent = said.error;
  } catch {
    find("error").textContent = "The command does not reply; what was labelled before is kept.";
  } finally {
    busy = false;
    document.body.dataset.at = String(item.at);
  }
}

const say = (key) => ask("label", { method: "POST", body: JSON.stringify({ at: item.at, key }) });
const back = () => item.at > 0 && ask(`item/${item.at - 1}`);

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (event.key === "b" || event.key === "Backspace" || event.key === "ArrowLeft") back();
  else if (!item.finished && item.keys.some(([key]) => key === event.key)) say(event.key);
});
find("back").addEventListener("click", back);
ask("item");
