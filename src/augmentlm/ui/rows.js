// A list of instruction-response rows to edit. Gradio runs this once for each, with `element`, `props` and `watch`.
// Texts go in as `value` and `textContent` only, so nothing in them is ever markup.
//
// The server says which rows there are; what a row says is the reader's, so a list that grows while somebody
// types does not take the typing away.
const list = element.querySelector(".alm-rows");
const add = element.querySelector(".alm-add");
const empty = element.querySelector(".alm-empty");
const areResults = list.dataset.kind === "results";
const labels = JSON.parse(list.dataset.labels);
const rows = new Map();
let made = 0;

function make(tag, className, parent) {
  const node = document.createElement(tag);
  node.className = className;
  parent?.append(node);
  return node;
}

function field(box, name, text) {
  const label = make("label", `alm-field alm-${name}`, box);
  const caption = make("span", "alm-caption", label);
  const area = make("textarea", "", label);
  area.rows = 2;
  area.value = text;
  area.spellcheck = false;
  area.addEventListener("input", tell);
  return { caption, area };
}

function show(row) {
  const box = make("li", "alm-pair", list);
  const shown = { row, box };
  shown.instruction = field(box, "instruction", row.instruction);
  shown.response = field(box, "response", row.response);
  const side = make("div", "alm-side", box);
  if (areResults) {
    const label = make("label", "alm-keep", side);
    shown.keep = make("input", "", label);
    shown.keep.type = "checkbox";
    shown.keep.checked = row.keep !== false;
    shown.keep.addEventListener("change", tell);
    shown.keepText = make("span", "", label);
  } else {
    shown.remove = make("button", "alm-remove", side);
    shown.remove.type = "button";
    shown.remove.textContent = "×";
    shown.remove.addEventListener("click", () => drop(row.id));
  }
  if (row.note) make("p", "alm-row-note", box).textContent = row.note;
  rows.set(row.id, shown);
}

function drop(id) {
  const ids = [...rows.keys()];
  const next = rows.get(ids[ids.indexOf(id) + 1]) ?? rows.get(ids[ids.indexOf(id) - 1]);
  rows.get(id).box.remove();
  rows.delete(id);
  label();
  tell();
  (next ? next.instruction.area : add).focus();
}

function label() {
  const words = labels[document.documentElement.lang.startsWith("zh") ? "zh" : "en"];
  [...rows.values()].forEach((shown, index) => {
    const number = index + 1;
    for (const name of ["instruction", "response"]) {
      shown[name].caption.textContent = words[name];
      shown[name].area.setAttribute("aria-label", `${words[name]} ${number}`);
    }
    if (shown.keep) {
      shown.keepText.textContent = words.keep;
      shown.keep.setAttribute("aria-label", `${words.keep} ${number}`);
    }
    if (shown.remove) {
      shown.remove.setAttribute("aria-label", words.remove.replace("{n}", number));
      shown.remove.title = words.remove.replace("{n}", number);
    }
  });
  add.textContent = words.add;
  add.hidden = areResults;
  empty.textContent = words.empty;
  empty.hidden = !areResults || rows.size > 0;
}

// What the server reads when an event needs the rows.
function tell() {
  props.value = [...rows.values()].map((shown) => ({
    ...shown.row,
    instruction: shown.instruction.area.value,
    response: shown.response.area.value,
    keep: shown.keep ? shown.keep.checked : true,
  }));
}

function take() {
  const told = Array.isArray(props.value) ? props.value : [];
  const ids = new Set(told.map((row) => row.id));
  for (const [id, shown] of rows) {
    if (ids.has(id)) continue;
    shown.box.remove();
    rows.delete(id);
  }
  for (const row of told) if (!rows.has(row.id)) show(row);
  label();
  tell();
}

add.addEventListener("click", () => {
  made += 1;
  const row = { id: `typed-${Date.now()}-${made}`, instruction: "", response: "" };
  show(row);
  label();
  tell();
  rows.get(row.id).instruction.area.focus();
});
watch("value", take);
new MutationObserver(label).observe(document.documentElement, { attributeFilter: ["lang"] });
take();
