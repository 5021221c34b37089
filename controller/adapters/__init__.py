"""One module per outside thing: it translates arguments, results, errors, and decides nothing."""
