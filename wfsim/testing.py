"""What tests of flows and steps are made with; loaded when first used."""

from typing import TYPE_CHECKING

from wfsim import lazily

if TYPE_CHECKING:
    from wfsim.campaign.explore import problems as problems
    from wfsim.campaign.reproduce import Reproduction as Reproduction
    from wfsim.campaign.reproduce import reproduce as reproduce
    from wfsim.campaign.strategies import plans as plans
    from wfsim.campaign.strategies import scenarios as scenarios
    from wfsim.sim.expectation import expect as expect
else:
    _homes, __getattr__ = lazily(__name__)
    __all__ = sorted(_homes)
