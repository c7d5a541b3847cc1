"""From a graph to an order of kernel calls and a place in the arena for every activation."""

from .figures import LayerFigures, Meter
from .plan import Plan, Step, Stream, Window
from .planner import make_plan, make_plans

__all__ = ["LayerFigures", "Meter", "Plan", "Step", "Stream", "Window", "make_plan", "make_plans"]
