"""Programs that make traffic: each module is a child process of the runner (`python -m btresearch.lab.actors.X`).

An actor reads one task (a JSON file named on its command line), says what happened as JSON lines on stdout (see
`report`), and logs to stderr. Servers run until their stdin ends; clients wait for a line on stdin, do their
work, verify it, and exit 0.
"""
