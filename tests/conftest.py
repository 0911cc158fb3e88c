"""Fixtures for every test: each line is a module of `tests/support` that defines some."""

pytest_plugins = [
    "tests.support.synapse",  # before those that import it
    "tests.support.matrix_client",
    "tests.support.strict_client",
    "tests.support.bot",
    "tests.support.postgres",
    "tests.support.speech",
    "tests.support.bridge_world",
    "tests.support.deployment",
    "tests.support.federation",
    "tests.support.page",
    "tests.support.element_call.stage",
]
