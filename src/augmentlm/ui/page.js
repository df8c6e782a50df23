// What Gradio has no component for: the run key, copying with an answer, and saving a text that the page holds.
window.augmentlm = {
  async copy(text, selector, said) {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // Pages that are not served over https or from this computer have no clipboard.
      const area = Object.assign(document.createElement("textarea"), { value: text });
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    const button = document.querySelector(selector);
    button?.classList.add("alm-done");
    setTimeout(() => button?.classList.remove("alm-done"), 1500);
    this.announce(said);
  },

  save(text, name) {
    if (!text) return;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "application/jsonl" }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  },

  // For people who hear the page.
  announce(text) {
    let place = document.getElementById("alm-announcer");
    if (!place) {
      place = Object.assign(document.createElement("div"), { id: "alm-announcer", className: "alm-unseen" });
      place.setAttribute("role", "status");
      document.body.append(place);
    }
    place.textContent = text;
  },
};

// Run and Stop stand in each other's place. Who pressed one with the keyboard goes on from the other.
document.addEventListener("click", (event) => {
  const pressed = event.target.closest?.(".alm-run, .alm-stop");
  if (!pressed || document.activeElement !== pressed) return;
  const row = pressed.parentElement;
  const waiting = setInterval(() => {
    if (pressed.isConnected && pressed.offsetParent) return;
    clearInterval(waiting);
    if (document.activeElement === document.body) row.querySelector(".alm-run, .alm-stop")?.focus();
  }, 50);
  setTimeout(() => clearInterval(waiting), 3000);
});

// Ctrl+Enter or Cmd+Enter runs, Escape stops.
document.addEventListener(
  "keydown",
  (event) => {
    const runs = event.key === "Enter" && (event.ctrlKey || event.metaKey);
    if (!runs && event.key !== "Escape") return;
    const seen = [...document.querySelectorAll(runs ? ".alm-run" : ".alm-stop")].find((button) => button.offsetParent);
    if (!seen) return;
    event.preventDefault();
    // A text box tells Gradio what is in it with a little delay.
    setTimeout(() => seen.click(), 60);
  },
  true,
);

// In Compare the keys 1 to 4 vote, as long as nobody is typing.
document.addEventListener("keydown", (event) => {
  if (!/^[1-4]$/.test(event.key) || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest?.("input, textarea, select")) return;
  [...document.querySelectorAll(".alm-vote")].filter((button) => button.offsetParent)[event.key - 1]?.click();
});
