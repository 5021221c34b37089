"""The dashboard: a page over a store, served to the browser of the person who started it.

`server` speaks HTTP and decides who may look and act, `feed` reads the store for all tabs, and
`site` answers requests, with the renderers of the status page and the report.
"""
