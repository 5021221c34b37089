"""Metrics of Prometheus, and of what answers its HTTP API.

`client` asks for raw samples, within limits of time and size. `samples` reads an answer.
`differences` makes the growth of counters and histograms out of samples, `periods` puts it into
minutes and makes statistics of them, and `source` is the `MetricSource`.
"""
