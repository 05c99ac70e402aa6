"""What people look at: renderings of plans and of the cluster's state."""
