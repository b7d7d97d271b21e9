// What a browser makes of a report, as JSON in an element called measured; in a frame, handed to the page around it.
addEventListener("load", () => setTimeout(() => {
  const tree = document.getElementById("tree"), all = (names) => [...(tree?.querySelectorAll(names) ?? [])];
  document.querySelectorAll("section > details, article > details").forEach((node) => { node.open = true; });

  // Contrast by WCAG 2: relative luminance of a text's colour and of the nearest opaque colour behind it.
  const light = (colour) => colour.slice(0, 3).map((v) => v / 255)
    .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const parse = (colour) => (colour.match(/[\d.]+/g) || [0, 0, 0, 0]).map(Number);
  const behind = (node) => {
    for (; node; node = node.parentElement) {
      const colour = parse(getComputedStyle(node).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const texts = [...document.body.querySelectorAll("*")].filter((node) => node.getClientRects().length
    && [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim()));
  const faint = texts.flatMap((node) => {
    const style = getComputedStyle(node), ink = parse(node instanceof SVGElement ? style.fill : style.color);
    const [high, low] = [light(ink), light(behind(node))].sort((x, y) => y - x);
    const contrast = (high + 0.05) / (low + 0.05);
    return contrast < 4.5 ? [`${node.tagName}.${node.className}: ${contrast.toFixed(2)}`] : [];
  });

  const measured = JSON.stringify({
    width: innerWidth,
    scrolls: document.documentElement.scrollWidth,
    dark: matchMedia("(prefers-color-scheme: dark)").matches,
    texts: texts.length,
    faint,
    asked: performance.getEntriesByType("resource").map((entry) => entry.name),
    said: tree?.querySelector("p")?.textContent,
    items: all(".item").map((node) => node.textContent),
    prefixes: all("summary b").map((node) => node.textContent),
    more: all("button.more").map((node) => node.textContent),
    nodes: all("*").length,
  });
  if (parent !== window) return parent.postMessage(measured, "*");
  const out = document.createElement("pre");
  out.id = "measured";
  out.textContent = measured;
  document.body.append(out);
}, 200));
