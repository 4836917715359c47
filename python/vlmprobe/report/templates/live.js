"use strict";
// Asks the server whether the run has gone on, and shows the new page where nobody is writing or choosing something.
(() => {
  const EVERY = 1500, shown = document.documentElement.dataset.version, said = document.getElementById("live");
  const follow = document.createElement("input"), label = document.createElement("label");
  follow.type = "checkbox";
  follow.checked = sessionStorage.getItem("follow") !== "no";
  follow.addEventListener("change", () => sessionStorage.setItem("follow", follow.checked ? "yes" : "no"));
  label.append(follow, " show it when the run goes on");
  const words = document.createElement("span");
  said.append(words, " ", label);

  async function look() {
    try {
      const { version, steps, finished } = await (await fetch("state", { cache: "no-store" })).json();
      const busy = document.activeElement?.closest("#filters");
      words.textContent = `${finished ? "Finished" : "Running, or interrupted"}, ${steps} steps so far.`;
      if (version !== shown && follow.checked && !busy) return location.reload();
    } catch {
      words.textContent = "The server has ended; this is what it last showed.";
    }
    setTimeout(look, EVERY);
  }
  look();
})();
