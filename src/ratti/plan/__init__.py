"""From a graph to an order of kernel calls and a place in the arena for every activation."""

from .plan import Patches, Plan, Step, Stream, Window
from .planner import make_plan, make_plans

__all__ = ["Patches", "Plan", "Step", "Stream", "Window", "make_plan", "make_plans"]
