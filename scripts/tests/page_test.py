# SPDX-License-Identifier: GPL-2.0-only
"""The page in a browser, where there is one: at three widths nothing stands out of it, and bars and folds are drawn."""

import html
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from upliftlib.report import comparison, dossier	# noqa: E402
from tests import decision_test, dossier_data	# noqa: E402

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
WIDTHS = (375, 768, 1200)
# Put into a copy, in a frame of the width: the page itself has no script, and a browser's windows are no narrower than 500. What is wider than the page, but for what scrolls by itself.
MEASURE = """<script>
const wide = [...document.querySelectorAll("body *")].filter(node => !node.closest(".wide, pre, svg") &&
	node.getBoundingClientRect().right > document.documentElement.clientWidth + 1);
const bars = [...document.querySelectorAll(".track i")].map(node => node.getBoundingClientRect().width);
parent.document.title = ["MEASURED", innerWidth, document.documentElement.scrollWidth, wide.length, bars.length,
	Math.round(Math.min(...bars, 1e6)), document.querySelectorAll("details").length,
	...(list => list ? [Math.round(list.getBoundingClientRect().bottom), list.children.length] : [0, 0])(
		document.querySelector(".decisions"))].join(" ");
</script></body>"""


@unittest.skipUnless(BROWSER, "no browser here: apt-get install chromium")
class InABrowser(unittest.TestCase):
    def measured(self, page: str, width: int) -> list[int]:
        """Of a page in a window: inner width, width of the content, too wide elements, bars, the narrowest, folds, where the
        decisions end, and how many there are."""
        with tempfile.TemporaryDirectory() as place:
            path = pathlib.Path(place, "page.html")
            path.write_text('<!DOCTYPE html><html><head><title>none</title></head><body><iframe style="border:0" '
                            f'width="{width}" height="900" srcdoc="{html.escape(page.replace("</body>", MEASURE))}"></iframe>'
                            "</body></html>")
            done = subprocess.run(
                [str(BROWSER), "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={place}/data",
                 "--hide-scrollbars", "--window-size=1300,1000", "--dump-dom", path.as_uri()], text=True, check=False,
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=120)
        found = re.search(r"<title>MEASURED ([\d ]+)</title>", done.stdout)
        self.assertIsNotNone(found, done.stdout[:200])
        return [int(word) for word in found[1].split()] if found else []

    def test_three_widths(self) -> None:
        several = comparison.of([dossier_data.bench(), dossier_data.counted()])
        for page, bars in ((dossier.page(dossier_data.bench()), 4), (dossier.page(dossier_data.counted()), 4),
                           (comparison.page(several), 0)):
            for width in WIDTHS:
                inner, content, wide, there, narrowest, *_ = self.measured(page, width)
                self.assertEqual((inner, wide), (width, 0))
                self.assertLessEqual(content, inner)
                self.assertEqual(there, bars)
                self.assertGreaterEqual(narrowest, 1)

    def test_the_first_screen_has_every_decision(self) -> None:
        """What to do about each change, what it gains and what goes with it, without scrolling."""
        data = decision_test.shipped()
        page = dossier.page(data)
        for width, height in ((768, 1024), (1200, 800)):
            *_, bottom, cards = self.measured(page, width)
            self.assertEqual(cards, len(data["changes"]))
            self.assertLess(bottom, height)


if __name__ == "__main__":
    unittest.main()
