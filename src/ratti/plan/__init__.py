"""From a graph to an order of kernel calls and a place in the arena for every activation."""

from .figures import LayerFigures, Meter
from .plan import Patches, Plan, Step, Stream, Window
from .planner import make_plan, make_plans

__all__ = ["LayerFigures", "Meter", "Patches", "Plan", "Step", "Stream", "Window", "make_plan", "make_plans"]
