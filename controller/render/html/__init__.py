"""Pages: one self-contained HTML file each, without scripts and without requests to any host."""
