"""Makes the helpers beside this file importable from every test, and allows no skipped test on the machine that speaks for the project."""

import os

import pytest

_NO_SKIP = "DAGNATS_TEST_NO_SKIP"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """A user's machine may lack what a test needs; where the variable is set, what is lacking is a failure."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get(_NO_SKIP):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, which {_NO_SKIP} forbids: {call.excinfo.value}"
    return report
