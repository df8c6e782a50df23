"""Data set runs: a user's seeds in, exactly the number of accepted examples asked for out, stopped and resumed at will.

`spec` says what a run is, `journal` keeps what came of it, `runner` does the work, `rows` reads it back.
"""
