"""What guests will use: quantiles of CPU and memory over the coming hours, from their history. Pure.

numpy is imported by the modules behind this one: import `scheduler.forecast.forecast` only when forecasting.
"""
