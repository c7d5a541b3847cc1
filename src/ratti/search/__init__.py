"""Architecture search with measured costs in the loop.

    spaces/<space>.py         what may be built: named choices, and the net that each set of them stands for
    cost                      what a net costs, composed of layers that were compiled and run on the target
    study                     the search itself: an Optuna study, its limits, its workers, its front
    strategies/<strategy>.py  what to try next
    workers                   where candidates are evaluated: local processes or Ray
    learned                   what can be read off the trials

Costs reach this package as a function (`cost.Meter`); it never imports `device`.
"""
