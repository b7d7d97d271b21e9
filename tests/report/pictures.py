"""Pictures of a report for the docs: `python -m tests.report.pictures runs/reports/demo/1/report.html docs/images`.

Takes Chromium on PATH and writes report.png, report-dark.png, explorer.png and report-phone.png.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from tests.report.chromium import BROWSER, SWITCHES

WIDTH, PHONE = 1400, 400
ROOM = 1 << 14
"""A window that every report fits into."""


def photograph(page: str, out: Path, height: int, dark: bool = False, width: int = WIDTH) -> None:
    """A PNG of the top of a page's markup; in a frame, since no window is as narrow as a telephone."""
    frame = f'<body style="margin: 0"><iframe src="page.html" style="width: {width}px; height: {height}px; border: 0">'
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "page.html").write_text(page, encoding="utf-8")
        (Path(folder) / "frame.html").write_text(f"<!doctype html>{frame}</iframe></body>", encoding="utf-8")
        words = [
            BROWSER,
            *SWITCHES,
            f"--user-data-dir={folder}/profile",
            f"--window-size={WIDTH},{height}",
            f"--blink-settings=preferredColorScheme={0 if dark else 1}",
            f"--screenshot={out}",
            (Path(folder) / "frame.html").as_uri(),
        ]
        subprocess.run(words, capture_output=True, timeout=120, check=True)
    with Image.open(out) as picture:
        small = picture.convert("RGB").crop((0, 0, width, height))
    small.save(out, optimize=True)


def only(page: str, *sections: str) -> str:
    """The page with some of its sections alone."""
    kept = "".join(f"#{name}, " for name in sections)
    style = f"<style>main > section:not({kept.rstrip(', ')}) {{ display: none }}</style></head>"
    return page.replace("</head>", style)


def opened(page: str) -> str:
    """The page with a branch of the explorer open, and one with a name in it."""
    script = """<script>
      const named = new Set(Object.values(JSON.parse(document.getElementById("names").textContent)));
      for (const branches of ["#tree > details", "#tree details details"]) {
        const found = [...document.querySelectorAll(branches)];
        const node = found.filter((each) => named.has(each.querySelector(".hint").textContent)).at(1) ?? found[0];
        if (!node) continue;
        node.open = true;
        node.dispatchEvent(new Event("toggle"));
      }
    </script></body>"""
    return page.replace("</body>", script)


def main(report: str, folder: str) -> None:
    """Write the pictures of a report into a folder."""
    page, out = Path(report).read_text(encoding="utf-8"), Path(folder).resolve()
    out.mkdir(parents=True, exist_ok=True)
    photograph(only(page, "data", "results"), out / "report.png", 2500)
    photograph(only(page, "index", "learning"), out / "report-dark.png", 1700, dark=True)
    photograph(opened(only(page, "explorer")), out / "explorer.png", 1000)
    photograph(only(page, "index"), out / "report-phone.png", 1950, width=PHONE)


if __name__ == "__main__":
    main(*sys.argv[1:])
