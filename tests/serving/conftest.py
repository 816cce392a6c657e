"""The document's model, trained once for all tests of the service, and clients for it."""

import pytest


@pytest.fixture(scope="session")
def article():
    from tests.serving.helpers import trained

    return trained()


@pytest.fixture(scope="session")
def client(article):
    from tinyllm.serving import create_app

    return create_app(article).test_client()


@pytest.fixture(scope="session")
def letters():
    """A client of a model that writes the alphabet."""
    from tests.serving.helpers import chain
    from tinyllm.serving import create_app

    return create_app(chain()).test_client()
