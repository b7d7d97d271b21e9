"use strict";
// The explorer: a tree that is built as it is opened, from rows [code, code, ..., title] sorted by semantic id.
(() => {
  const store = document.getElementById("items");
  if (!store) return;
  const rows = JSON.parse(store.textContent), tree = document.getElementById("tree");
  const levels = rows[0].length - 1, limit = 200;
  const letter = (level) => String.fromCharCode(97 + level);
  const spell = (row, from, to) => row.slice(from, to).map((code, i) => `<${letter(from + i)}_${code}>`).join("");
  const make = (tag, text, name) => {
    const node = document.createElement(tag);
    if (text !== undefined) node.textContent = text;
    if (name) node.className = name;
    return node;
  };
  const item = (row, from) => {
    const line = make("div", undefined, "item");
    line.append(make("code", spell(row, from, levels)), row[levels]);
    return line;
  };
  const more = (parent, count) => count > 0 && parent.append(make("div", `and ${count.toLocaleString()} more`, "item"));

  // The rows of [start, stop) share their first `level` codes.
  const branch = (parent, start, stop, level) => {
    if (level >= levels - 1 || stop - start <= 3) {
      for (let r = start; r < Math.min(stop, start + limit); r++) parent.append(item(rows[r], level));
      more(parent, stop - start - limit);
      return;
    }
    for (let from = start, to; from < stop; from = to) {
      for (to = from + 1; to < stop && rows[to][level] === rows[from][level]; to++);
      const [first, last] = [from, to], node = make("details"), head = make("summary");
      head.append(make("b", spell(rows[first], level, level + 1)), make("span", (last - first).toLocaleString(), "count"),
        make("span", rows[first][levels].slice(0, 48), "hint"));
      node.append(head);
      node.addEventListener("toggle", () => node.childElementCount === 1 && branch(node, first, last, level + 1));
      parent.append(node);
    }
  };

  const find = (query) => {
    const codes = /^\s*\d+(\s*[,-]\s*\d+)*\s*$/.test(query) ? query.split(/[,-]/).map(Number)
      : [...query.matchAll(/<[a-z]_(\d+)>/g)].map((m) => Number(m[1]));
    const words = query.toLowerCase().split(/\s+/).filter(Boolean);
    const byTitle = (row) => words.every((w) => row[levels].toLowerCase().includes(w));
    const found = rows.filter((row) => (codes.length && codes.every((c, i) => row[i] === c)) || byTitle(row));
    tree.replaceChildren(make("p", `${found.length.toLocaleString()} found`, "quiet"));
    found.slice(0, limit).forEach((row) => tree.append(item(row, 0)));
    more(tree, found.length - limit);
  };

  const show = (query) => {
    if (query.trim()) return find(query);
    tree.replaceChildren();
    branch(tree, 0, rows.length, 0);
  };
  let waiting;
  document.getElementById("search").addEventListener("input", (event) => {
    clearTimeout(waiting);
    waiting = setTimeout(() => show(event.target.value), 120);
  });
  show("");
})();
