"""From a graph to an order of kernel calls and a place in the arena for every activation."""

from .planner import Plan, Step, make_plan

__all__ = ["Plan", "Step", "make_plan"]
