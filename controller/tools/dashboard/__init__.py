"""The dashboard: a page over a store, served to the browser of the person who started it.

`server` speaks HTTP, `guard` decides who may look and act, `feed` reads the store for all tabs,
`site` answers requests, and `pages` makes the pages with the renderers of the status page and the
report.
"""
