"""Names for tests of flows and steps; loaded when first used.

The plugin for pytest (``wfsim.testing.plugin``) has the assertions as fixtures, too, and
``wfsim.testing.notebooks`` makes notebooks tests.
"""

from typing import TYPE_CHECKING

from wfsim import lazily

if TYPE_CHECKING:
    from wfsim.campaign.explore import problems as problems
    from wfsim.campaign.reproduce import Reproduction as Reproduction
    from wfsim.campaign.reproduce import reproduce as reproduce
    from wfsim.campaign.strategies import plans as plans
    from wfsim.campaign.strategies import scenarios as scenarios
    from wfsim.sim.expectation import expect as expect
    from wfsim.sim.faults import AskAt as AskAt
    from wfsim.sim.faults import RepeatCall as RepeatCall
    from wfsim.testing.assertions import assert_converges as assert_converges
    from wfsim.testing.assertions import assert_digest as assert_digest
else:
    _homes, __getattr__ = lazily(__name__)
    __all__ = sorted(_homes)
