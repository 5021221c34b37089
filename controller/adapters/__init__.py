"""One module per outside thing: it translates arguments, results and errors, and decides nothing."""
