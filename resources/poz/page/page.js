// The page of a record: the tree and the bytes beside it, and the simulator. What is foreign
// reaches the page as text only.

const byId = id => document.getElementById(id);

function element(tag, kind, text) {
  const made = document.createElement(tag);
  if (kind) made.className = kind;
  if (text !== undefined) made.textContent = text;
  return made;
}

// Only the rows in view are there: `draw(i)` makes the element of row i.
function virtual(pane, rowHeight, draw) {
  const space = element("div", "space"), view = element("div", "view");
  let count = 0, all = false;
  space.append(view);
  pane.append(space);
  const show = () => {
    const first = all ? 0 : Math.max(0, Math.floor(pane.scrollTop / rowHeight) - 8);
    const last = all ? count : Math.min(count, Math.ceil((pane.scrollTop + pane.clientHeight) / rowHeight) + 8);
    const rows = [];
    for (let i = first; i < last; i++) rows.push(draw(i));
    view.style.transform = `translateY(${first * rowHeight}px)`;
    view.replaceChildren(...rows);
  };
  let waiting = false;
  pane.addEventListener("scroll", () => {
    if (!waiting) requestAnimationFrame(() => { waiting = false; show(); });
    waiting = true;
  });
  return {
    show, view,
    resize(n) { count = n; space.style.height = `${n * rowHeight}px`; show(); },
    reveal(i) {
      const top = i * rowHeight, room = pane.clientHeight;
      if (top < pane.scrollTop || top + rowHeight > pane.scrollTop + room) pane.scrollTop = Math.max(0, top - room / 3);
    },
    whole(yes) { all = yes && count <= 4096; show(); },
  };
}

function unpacked(base64) {
  const text = atob(base64), bytes = new Uint8Array(text.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

// The spans as columns: see poz.view.page.spans. Sizes of those with others inside add up.
function spansOf(packed) {
  let numbers = 0;
  for (const b of packed) if (b < 128) numbers++;
  const count = numbers / 5, columns = [0, 1, 2, 3, 4].map(() => new Int32Array(count));
  for (let i = 0, k = 0, n = 0, shift = 0; i < packed.length; i++) {
    n |= (packed[i] & 127) << shift;
    shift += 7;
    if (packed[i] < 128) { columns[k % 5][(k - k % 5) / 5] = n; k++; n = shift = 0; }
  }
  const [depths, sizes, names, values, docs] = columns, ats = new Int32Array(count), stack = [];
  for (let i = 0, at = 0; i <= count; i++) {
    while (stack.length > (i < count ? depths[i] : 0)) { const p = stack.pop(); sizes[p] = at - ats[p]; }
    if (i < count) { ats[i] = at; at += sizes[i]; stack.push(i); }
  }
  return { count, depths, ats, sizes, names, values, docs };
}

function explore(data) {
  const ROW = 24;
  const tree = byId("tree"), hex = byId("hex"), said = byId("said");
  const { words, error, withheld } = data;
  const bytes = new Uint8Array(data.size), { count, depths, ats, sizes, names, values, docs } = spansOf(unpacked(data.spans));
  bytes.set(unpacked(data.bytes));
  const depth = i => depths[i], at = i => ats[i], size = i => sizes[i], name = i => words[names[i]], doc = i => words[docs[i]];
  const hidden = b => withheld.some(([from, to]) => from <= b && b < to);
  const hexOf = (from, n) => Array.from(bytes.subarray(from, from + n), b => b.toString(16).padStart(2, "0")).join("");
  const value = i => values[i] ? words[values[i] - 1] : hexOf(at(i), size(i));
  const offset = b => b.toString(16).padStart(bytes.length > 0xffff ? 6 : 4, "0");

  // The tree's shape: whose child each span is, and where what is inside it ends.
  const parent = new Int32Array(count).fill(-1), end = new Int32Array(count), open = new Uint8Array(count);
  const leaves = [], stack = [], place = new Int32Array(count), siblings = new Int32Array(count + 1);
  for (let i = 0; i <= count; i++) {
    const d = i < count ? depth(i) : 0;
    while (stack.length > d) end[stack.pop()] = i;
    if (i < count) {
      if (d) parent[i] = stack[d - 1];
      stack.push(i);
      place[i] = ++siblings[parent[i] + 1];
    }
  }
  const inner = i => end[i] > i + 1;
  for (let i = 0; i < count; i++) if (!inner(i) && size(i) > 0) leaves.push(i);
  const leafAt = b => {
    let low = 0, high = leaves.length - 1;
    while (low < high) {
      const mid = (low + high + 1) >> 1;
      if (at(leaves[mid]) <= b) low = mid; else high = mid - 1;
    }
    return leaves[low];
  };
  const faulty = (() => {
    if (!error) return -1;
    for (let i = count - 1; i >= 0; i--) {
      if (!inner(i) && at(i) <= error.at && (error.at < at(i) + size(i) || !size(i))) return i;
    }
    return count - 1;
  })();

  // What is lit up: `cursor` stays, `hovered` goes with the pointer.
  let cursor = -1, hovered = -1, visible = [];
  const active = () => hovered >= 0 ? hovered : cursor;
  // The row of the tree that stands for a span: that of what it is folded into, if anything.
  const standing = i => {
    let row = i;
    for (let p = i < 0 ? -1 : parent[i]; p >= 0; p = parent[p]) if (!open[p]) row = p;
    return row;
  };
  const path = i => i < 0 ? "" : (parent[i] >= 0 ? path(parent[i]) + " › " : "") + name(i);

  const treeRow = n => {
    const i = visible[n], row = element("div", "row");
    row.id = `span-${i}`;
    row.dataset.span = i;
    row.setAttribute("role", "treeitem");
    row.setAttribute("aria-level", depth(i) + 1);
    row.setAttribute("aria-posinset", place[i]);
    row.setAttribute("aria-setsize", siblings[parent[i] + 1]);
    row.setAttribute("aria-selected", i === cursor);
    if (inner(i)) row.setAttribute("aria-expanded", open[i] === 1);
    row.classList.add(`depth-${Math.min(depth(i), 8)}`);
    row.classList.toggle("on", i === standing(active()));
    row.classList.toggle("fault", i === faulty);
    row.append(element("span", "twist", inner(i) ? (open[i] ? "▾" : "▸") : ""), element("span", "name", name(i)));
    const shown = i === faulty ? `✕ ${error.message}` : value(i);
    row.append(element("span", "value", shown), element("span", "size", inner(i) && depth(i) < 2 ? `${size(i)}` : ""));
    return row;
  };
  const treeList = virtual(tree, ROW, treeRow);

  let perRow = 16;
  const cell = (b, from, to) => {
    const made = element("span", "byte", hidden(b) ? "··" : hexOf(b, 1));
    made.dataset.byte = b;
    if (hidden(b)) made.classList.add("withheld");
    if (from <= b && b < to) made.classList.add("on");
    if (error && faultAt(b)) made.classList.add("fault");
    return made;
  };
  const faultAt = b => faulty >= 0 && at(faulty) <= b && b < Math.max(at(faulty) + size(faulty), error.at + 1) && !hidden(b);
  const hexRow = n => {
    const row = element("div", "row"), i = active(), start = n * perRow;
    const from = i < 0 ? 0 : at(i), to = i < 0 ? 0 : at(i) + size(i);
    row.append(element("span", "offset", offset(start)));
    let text = "";
    const cells = element("span", "cells");
    for (let b = start; b < Math.min(start + perRow, bytes.length); b++) {
      cells.append(cell(b, from, to));
      text += !hidden(b) && bytes[b] >= 0x20 && bytes[b] < 0x7f ? String.fromCharCode(bytes[b]) : "·";
    }
    row.append(cells, element("span", "ascii", text));
    return row;
  };
  const hexList = virtual(hex, ROW, hexRow);

  const light = () => {
    const i = active();
    const row = standing(i);
    for (const r of treeList.view.children) r.classList.toggle("on", Number(r.dataset.span) === row);
    const from = i < 0 ? 0 : at(i), to = i < 0 ? 0 : from + size(i);
    for (const c of hexList.view.querySelectorAll(".byte")) {
      const b = Number(c.dataset.byte);
      c.classList.toggle("on", from <= b && b < to);
    }
    if (i < 0) return;
    said.replaceChildren(
      element("span", "where", `${offset(from)} + ${size(i)}`), element("strong", "", path(i)),
      element("span", "what", i === faulty ? error.message : value(i)), element("span", "doc", doc(i)));
  };
  const unfold = () => {
    visible = [];
    for (let i = 0; i < count; i = open[i] ? i + 1 : end[i]) visible.push(i);
    treeList.resize(visible.length);
  };
  const choose = (i, { inTree = true, inHex = true } = {}) => {
    if (!(i >= 0)) return;
    let folded = false;
    for (let p = parent[i]; p >= 0; p = parent[p]) if (!open[p]) { open[p] = 1; folded = true; }
    cursor = i;
    hovered = -1;
    if (folded) unfold();
    if (inTree) treeList.reveal(visible.indexOf(i));
    if (inHex) hexList.reveal(Math.floor(at(i) / perRow));
    treeList.show();
    hexList.show();
    tree.setAttribute("aria-activedescendant", `span-${i}`);
    light();
  };
  const toggle = (i, yes) => {
    if (inner(i) && open[i] !== yes) { open[i] = yes; unfold(); choose(i, { inHex: false }); }
  };

  const treeKeys = {
    ArrowDown: i => choose(visible[Math.min(visible.indexOf(i) + 1, visible.length - 1)]),
    ArrowUp: i => choose(visible[Math.max(visible.indexOf(i) - 1, 0)]),
    ArrowRight: i => inner(i) && !open[i] ? toggle(i, 1) : inner(i) && choose(i + 1),
    ArrowLeft: i => open[i] ? toggle(i, 0) : choose(parent[i]),
    Home: () => choose(0),
    End: () => choose(visible[visible.length - 1]),
    Enter: i => toggle(i, open[i] ? 0 : 1),
    " ": i => toggle(i, open[i] ? 0 : 1),
  };
  const beside = (i, step) => {
    const n = leaves.indexOf(leafAt(at(i)));
    return leaves[Math.min(Math.max(n + step, 0), leaves.length - 1)];
  };
  const hexKeys = {
    ArrowRight: i => choose(beside(i, 1)),
    ArrowLeft: i => choose(beside(i, -1)),
    ArrowDown: i => choose(leafAt(Math.min(at(i) + Math.max(size(i), perRow), bytes.length - 1))),
    ArrowUp: i => choose(leafAt(Math.max(at(i) - perRow, 0))),
    Home: () => choose(leaves[0]),
    End: () => choose(leaves[leaves.length - 1]),
  };
  const onKeys = (pane, keys) => pane.addEventListener("keydown", e => {
    if (keys[e.key] && !e.ctrlKey && !e.altKey && !e.metaKey) { e.preventDefault(); keys[e.key](Math.max(cursor, 0)); }
  });
  const onHover = (pane, find, reveal) => {
    pane.addEventListener("pointerover", e => {
      const i = find(e.target);
      if (!(i >= 0) || i === hovered) return;
      hovered = i;
      reveal(i);
      light();
    });
    pane.addEventListener("pointerleave", () => { hovered = -1; light(); });
  };
  const treeSpan = target => { const row = target.closest("[data-span]"); return row ? Number(row.dataset.span) : -1; };
  const hexSpan = target => { const c = target.closest("[data-byte]"); return c ? leafAt(Number(c.dataset.byte)) : -1; };

  onKeys(tree, treeKeys);
  onKeys(hex, hexKeys);
  onHover(tree, treeSpan, i => hexList.reveal(Math.floor(at(i) / perRow)));
  onHover(hex, hexSpan, i => treeList.reveal(visible.indexOf(standing(i))));
  tree.addEventListener("focus", () => { if (cursor < 0) choose(0, { inHex: false }); });
  hex.addEventListener("focus", () => { if (cursor < 0) choose(leaves[0]); });
  tree.addEventListener("click", e => {
    const i = treeSpan(e.target);
    if (i < 0) return;
    choose(i, { inTree: false });
    if (inner(i)) toggle(i, open[i] ? 0 : 1);
  });
  hex.addEventListener("click", e => choose(hexSpan(e.target), { inHex: false }));

  const fitHex = () => {
    perRow = hex.clientWidth < 560 ? 8 : 16;
    hex.classList.toggle("short", perRow === 8);
    hexList.resize(Math.ceil(bytes.length / perRow));
  };
  new ResizeObserver(fitHex).observe(hex);
  addEventListener("beforeprint", () => { treeList.whole(true); hexList.whole(true); });
  addEventListener("afterprint", () => { treeList.whole(false); hexList.whole(false); });

  if (count < 2000) for (let i = 0; i < count; i++) if (depth(i) === 0) open[i] = 1;
  byId("bytes").hidden = false;
  fitHex();
  unfold();
  if (faulty >= 0) choose(faulty); else treeList.show();
}

function simulate({ powers }) {
  const form = byId("simulator"), chosen = kind => new Set(
    Array.from(form.querySelectorAll(`input[name=${kind}]:checked`), box => Number(box.value)));
  const cell = (row, who, yes) => {
    const td = row.querySelector(`.${who}`);
    td.textContent = yes ? "● yes" : "○ no";
    td.classList.toggle("yes", yes);
  };
  const players = new Set(Array.from(form.querySelectorAll("input[name=lost]"), box => Number(box.value)));
  const list = words => words.join("; ");
  const update = () => {
    const lost = chosen("lost"), stolen = chosen("stolen");
    const held = new Set([...players].filter(k => !lost.has(k)));
    const before = powers.filter(p => can(p, players));
    const left = powers.filter(p => can(p, held)), thief = powers.filter(p => can(p, stolen));
    powers.forEach((p, n) => {
      const row = byId(`power-${n}`);
      cell(row, "you", left.includes(p));
      cell(row, "thief", thief.includes(p));
    });
    const gone = before.filter(p => !left.includes(p)), words = [];
    if (gone.some(p => p.locks)) words.push("The record is locked for ever: nobody can change its master zone.");
    else if (gone.length) words.push(`No longer possible: ${list(gone.map(p => p.name))}.`);
    else if (lost.size) words.push("Everything is still possible.");
    if (thief.some(p => p.all)) words.push("The thief can change the master zone, and so controls the record.");
    else if (thief.length) words.push(`The thief can: ${list(thief.map(p => p.name))}.`);
    else if (stolen.size) words.push("The thief can do nothing.");
    byId("outcome").textContent = words.join(" ") || "Nothing is lost, nothing is stolen.";
  };
  form.addEventListener("change", update);
  form.addEventListener("reset", () => setTimeout(update));
  for (const box of form.querySelectorAll("input, button")) box.disabled = false;
  update();
}

// Records dropped anywhere go where those go that the button chose.
function receive(form) {
  const input = form.querySelector("input[type=file]");
  const body = document.body;
  const send = () => { if (input.files.length) { body.classList.add("busy"); form.submit(); } };
  input.addEventListener("change", send);
  addEventListener("dragover", e => { e.preventDefault(); body.classList.add("dropping"); });
  addEventListener("dragleave", e => { if (!e.relatedTarget) body.classList.remove("dropping"); });
  addEventListener("drop", e => {
    e.preventDefault();
    body.classList.remove("dropping");
    input.files = e.dataTransfer.files;
    send();
  });
}

const read = id => byId(id) && JSON.parse(byId(id).textContent);
const spanData = read("spans"), powerData = read("powers");
document.documentElement.classList.add("scripted");
if (spanData) explore(spanData);
if (powerData) simulate(powerData);
if (byId("open")) receive(byId("open"));
