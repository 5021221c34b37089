"""Pages: one self-contained HTML file each, without scripts and without requests to any host.

What they share, charts and the status page are here; a tool's page is in its folder.
"""
