"""A search for wrong numbers: random loop programs, every way to run them against recording.

    PYTHONPATH=tests python -m fuzzing --seconds 900

grows programs (`grammar`), gives them to a process that runs them in some of the `modes`, and prints for each
finding the smallest program that shows it, as a script to run. An end of that process is a finding, too. To the bit
means just that. Where rounding may differ, a result may be as far off as it moves when the steps of the recorded
program are moved by some ulps each.

    PYTHONPATH=tests python -m fuzzing --endure 100000 --seconds 1e6

only compiles small programs, for one sample and for many, at each effort of LLVM: none may end the process.
"""
