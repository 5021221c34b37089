"""Renderers: rollouts, histories, checks and rehearsals as text, Markdown, JUnit and JSON data."""
