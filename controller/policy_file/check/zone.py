"""Names of time zones: whether one exists, and which one was probably meant."""

from difflib import get_close_matches
from zoneinfo import available_timezones

# Names that depend on the machine or stand for "unknown": no policy could mean them.
_NO_ZONES = frozenset({"Factory", "localtime", "posixrules"})
# How alike two names have to be for a suggestion: 1 is equal.
_NEAR = 0.8


def zone_problem(name: str) -> str | None:
    """Return what is wrong with `name`; None when it is a time zone, in the IANA's spelling.

    The names are those of the system's database and of the tzdata package. The name is looked up
    in their list and not loaded: a file system that ignores case would load `europe/berlin`, and
    another would not.
    """
    zones = available_timezones() - _NO_ZONES
    if name in zones:
        return None
    if not zones:
        return "this machine has no database of time zones: install the tzdata package"
    return f"no time zone is called {name!r:.70}; {_suggestion(name, zones)}"


def _suggestion(name: str, zones: set[str]) -> str:
    """Return the zone whose name, or whose city, is spelled nearly like `name`, as a hint."""
    # Abbreviations that differ by one letter differ by hours: only places are suggested.
    places = sorted(zone for zone in zones if "/" in zone)
    spellings = {place.rsplit("/", 1)[-1].casefold(): place for place in places}
    spellings |= {place.casefold(): place for place in places}
    near = get_close_matches(name.casefold(), spellings, n=1, cutoff=_NEAR)
    return f"did you mean {spellings[near[0]]!r}?" if near else "IANA names are like Europe/Berlin"
