"""Rollouts, histories and rehearsals as text for people and as data for programs."""
