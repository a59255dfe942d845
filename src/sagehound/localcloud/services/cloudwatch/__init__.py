"""CloudWatch metrics and alarms: counted, kept in SQLite, read back as statistics, percentiles and metric math.

Covered
- PutMetricData: values, values with counts, statistic sets, dimensions, units, high resolution, AWS's limits
- GetMetricStatistics: the five statistics, percentiles, units, periods, the limit of 1,440 data points
- GetMetricData: metrics and expressions, paging, ScanBy, labels with ${LABEL}, ${MIN}, ${MAX}, ${AVG}, ${SUM},
  ${FIRST}, ${LAST}. Expressions: + - * / ^, arrays, METRICS, SUM, AVG, MIN, MAX, ABS, CEIL, FLOOR, PERIOD, FILL,
  DIFF, RATE
- ListMetrics: by namespace, name, dimensions, recently active; paging
- data are folded as AWS folds them: to minutes after 3 hours, to 5 minutes after 15 days, to hours after 63 days;
  gone after 455 days
- alarms on one metric or an expression: M of N periods of 10, 20, 30 or n x 60 s, statistics and percentiles, missing
  data, history, tags; scaling policies are called, other actions (SNS, EC2, Lambda) are kept and the history says that
  nothing was sent

Not covered (answered by name as not implemented)
- composite alarms; alarms on logs or anomalies
- dashboards, metric streams, anomaly detection, insight rules
- trimmed and winsorized statistics (tm, wm, tc, ts, pr, IQM)
- SEARCH, IF, comparisons and the other functions of metric math
- expressions over metrics of different periods; labels that show times
"""
