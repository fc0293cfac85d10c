"""Fakes of every port, on a virtual clock: no server, no root, milliseconds. For engine authors and for us.

Each fake passes the same contract tests as the adapter it stands for.
"""
