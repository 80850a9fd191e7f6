"""How much the property tests try: `pytest tests/protocol --hypothesis-profile=thorough` for ten times more."""

from hypothesis import settings

settings.register_profile("thorough", max_examples=1000)
