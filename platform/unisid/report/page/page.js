"use strict";
// The description of a chart's mark, under the pointer.
(() => {
  const tip = document.getElementById("tip");
  const mark = (event) => event.target.closest?.(".panel .role-mark [aria-label]");
  const show = (event) => {
    const found = mark(event);
    tip.hidden = !found;
    if (!found) return;
    tip.textContent = found.getAttribute("aria-label");
    const left = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8);
    const below = event.clientY + 18 + tip.offsetHeight < innerHeight;
    tip.style.left = `${Math.max(8, left)}px`;
    tip.style.top = `${below ? event.clientY + 18 : event.clientY - tip.offsetHeight - 10}px`;
  };
  addEventListener("pointermove", show);
  addEventListener("pointerdown", show);
  addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });
})();
// The words on the map: as large as other small text, however wide the picture is; the first ones first, without overlaps.
(() => {
  const map = document.querySelector("#prefix_map svg");
  if (!map) return;
  const words = [...map.querySelectorAll(".mark-text.role-mark text")];
  const lay = () => {
    const frame = map.getBoundingClientRect(), scale = frame.width / map.viewBox.baseVal.width, kept = [];
    for (const word of words) {
      word.style.fontSize = `${11 / Math.min(scale, 1)}px`;
      word.removeAttribute("dx");
      let box = word.getBoundingClientRect();
      const out = Math.max(0, frame.left - box.left) - Math.max(0, box.right - frame.right);
      if (out) word.setAttribute("dx", out / scale);
      box = word.getBoundingClientRect();
      const free = kept.every((other) => box.right < other.left || other.right < box.left || box.bottom < other.top
        || other.bottom < box.top);
      word.style.visibility = free ? "visible" : "hidden";
      if (free) kept.push(box);
    }
  };
  addEventListener("resize", lay);
  lay();
})();
// The explorer: a tree that is built as it is opened, from rows [code, code, ..., title] sorted by semantic id.
// What is long comes in pieces of `limit` lines. `report.html#find=WORDS` opens the page with a search.
(() => {
  const store = document.getElementById("items");
  if (!store) return;
  const rows = JSON.parse(store.textContent), names = JSON.parse(document.getElementById("names").textContent);
  const tree = document.getElementById("tree");
  const search = document.getElementById("search"), levels = rows[0].length - 1, limit = 200;
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
    line.append(make("code", spell(row, from, levels)), row[levels] || make("i", "no title", "quiet"));
    return line;
  };
  // A button in the place of what follows.
  const more = (parent, text, next) => {
    const button = make("button", text, "more");
    button.type = "button";
    button.addEventListener("click", () => { button.remove(); next(); });
    parent.append(button);
  };
  const list = (parent, found, from) => {
    found.slice(0, limit).forEach((row) => parent.append(item(row, from)));
    const rest = found.slice(limit);
    if (rest.length) more(parent, `${rest.length.toLocaleString()} more items`, () => list(parent, rest, from));
  };

  // The rows of [start, stop) share their first `level` codes.
  const branch = (parent, start, stop, level) => {
    if (level >= levels - 1 || stop - start <= 3) return list(parent, rows.slice(start, stop), level);
    let shown = 0;
    for (let from = start, to; from < stop; from = to) {
      if (shown++ === limit) {
        const rest = from;
        return more(parent, `${(stop - rest).toLocaleString()} more items, under further codes`,
          () => branch(parent, rest, stop, level));
      }
      for (to = from + 1; to < stop && rows[to][level] === rows[from][level]; to++);
      const [first, last] = [from, to], node = make("details"), head = make("summary");
      head.append(make("b", spell(rows[first], level, level + 1)), make("span", (last - first).toLocaleString(), "count"),
        make("span", names[rows[first].slice(0, level + 1).join()] ?? (last - first > 1 ? "" : rows[first][levels]), "hint"));
      node.append(head);
      node.addEventListener("toggle", () => node.childElementCount === 1 && branch(node, first, last, level + 1));
      parent.append(node);
    }
  };

  // "12,7" and "<a_12><b_7>" -> [[level, code], ...]; anything else asks for no code.
  const asked = (query) => /^\s*\d+(\s*[,-]\s*\d+)*[\s,-]*$/.test(query)
    ? query.match(/\d+/g).map((code, level) => [level, Number(code)])
    : [...query.matchAll(/<?([a-z])_(\d+)>?/g)].map((m) => [m[1].charCodeAt(0) - 97, Number(m[2])]);
  let titles;
  const find = (query) => {
    titles ??= rows.map((row) => row[levels].toLowerCase());
    const codes = asked(query), words = query.toLowerCase().split(/\s+/).filter(Boolean);
    const named = rows.filter((row) => codes.length && codes.every(([level, code]) => row[level] === code));
    const called = rows.filter((row, i) => words.every((word) => titles[i].includes(word)));
    const found = [...new Set([...named, ...called])];
    const parts = [[named.length, "by semantic id"], [called.length, "by title"]].filter(([count]) => count);
    const said = parts.map(([count, how]) => `${count.toLocaleString()} ${how}`).join(", ");
    tree.replaceChildren(make("p", said ? `Found ${said}` : `Nothing is called or coded “${query}”`, "quiet"));
    list(tree, found, 0);
  };

  const show = () => {
    const query = search.value.trim();
    tree.scrollTop = 0;
    if (query) return find(query);
    tree.replaceChildren();
    branch(tree, 0, rows.length, 0);
  };
  let waiting;
  search.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(show, 120);
  });
  const follow = () => {
    if (!location.hash.startsWith("#find=")) return;
    search.value = decodeURIComponent(location.hash.slice(6));
    show();
    document.getElementById("explorer").scrollIntoView();
  };
  addEventListener("hashchange", follow);
  show();
  follow();
})();
