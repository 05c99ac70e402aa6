"""The planner: from a wanted placement to ordered moves that are safe at every moment."""

from scheduler.planner.order import Ordering, order_moves
from scheduler.planner.state import Move

__all__ = ["Move", "Ordering", "order_moves"]
