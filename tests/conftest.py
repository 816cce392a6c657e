"""Settings for all tests."""

from hypothesis import settings

settings.register_profile("shared machine", deadline=None)  # a busy machine must not make a test fail
settings.load_profile("shared machine")

collect_ignore_glob = ["golden/*.py"]  # these make the stored figures, and need packages that the tests do not
