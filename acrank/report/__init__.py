"""One self-contained HTML page of a run: verdict, ranking, charts, data, settings and the record itself.

What draws it, and why:

* **Charts: Vega-Lite, written with Altair, bundled by vl-convert.** `vl_convert.javascript_bundle` gives all of Vega
  (0.9 MB) without a network. Marks are SVG with ARIA labels, text is never read as markup (plotly.js does, in labels,
  and weighs 4.8 MB), and expressions run in an interpreter, so that the page can forbid `eval`. Static SVG of
  matplotlib has neither tooltips nor a choice of score.
* **Tables: DataTables, as itables ships it** (0.7 MB, offline, without further requirements). It takes a table that
  stands in the page, so that readers without JavaScript, and screen readers, have all rows. great_tables makes static
  tables; those of Bokeh are a canvas.
* **The page: Jinja2** with autoescape.

The libraries are the extra `report`. The page holds a policy (`Content-Security-Policy`) that forbids every request
and every script but its own, whatever a name in the record says.
"""

from __future__ import annotations

from acrank.report.html_page import ReportParts, report_html

__all__ = ["ReportParts", "report_html"]
