# Metrics and alarms of one's own: put-metric-data, get-metric-statistics, list-metrics, put-metric-alarm, describe-alarms.
. "$(dirname "$0")/shared/checks.sh"
between=(--start-time "$(date -u -d '1 hour ago' +%FT%TZ)" --end-time "$(date -u -d '5 minutes' +%FT%TZ)")
for value in 3 5 10; do aws cloudwatch put-metric-data --namespace Kennel --metric-name Barks --dimensions Dog=Rex --value $value --unit Count; done
same "$(aws cloudwatch get-metric-statistics --namespace Kennel --metric-name Barks --dimensions Name=Dog,Value=Rex "${between[@]}" --period 86400 --statistics Sum Maximum SampleCount --query '[sum(Datapoints[].Sum), max(Datapoints[].Maximum), sum(Datapoints[].SampleCount)]' --output text)" \
  "18.0	10.0	3.0"
same "$(aws cloudwatch list-metrics --namespace Kennel --query 'Metrics[].[MetricName, Dimensions[0].Value]' --output text)" "Barks	Rex"
aws cloudwatch put-metric-alarm --alarm-name loud --namespace Kennel --metric-name Barks --dimensions Name=Dog,Value=Rex --statistic Sum --period 10 \
  --evaluation-periods 1 --threshold 4 --comparison-operator GreaterThanThreshold --treat-missing-data notBreaching
same "$(aws cloudwatch describe-alarms --alarm-names loud --query 'MetricAlarms[].[AlarmName, Threshold, ComparisonOperator]' --output text)" "loud	4.0	GreaterThanThreshold"
aws cloudwatch set-alarm-state --alarm-name loud --state-value ALARM --state-reason "the neighbours say so"
same "$(aws cloudwatch describe-alarm-history --alarm-name loud --history-item-type StateUpdate --query "length(AlarmHistoryItems[?contains(HistorySummary, 'to ALARM')]) > \`0\`")" true
aws cloudwatch delete-alarms --alarm-names loud
same "$(aws cloudwatch describe-alarms --alarm-names loud --query 'length(MetricAlarms)')" 0
aws logs create-log-group --log-group-name /kennel
aws logs create-log-stream --log-group-name /kennel --log-stream-name rex
aws logs put-log-events --log-group-name /kennel --log-stream-name rex --log-events "timestamp=$(date +%s000),message=woof" "timestamp=$(date +%s000),message=wuff"
same "$(aws logs get-log-events --log-group-name /kennel --log-stream-name rex --query 'events[].message' --output text)" "woof	wuff"
aws logs put-retention-policy --log-group-name /kennel --retention-in-days 7
same "$(aws logs describe-log-groups --log-group-name-prefix /kennel --query 'logGroups[0].retentionInDays')" 7
aws logs delete-log-group --log-group-name /kennel
refused ResourceNotFoundException aws logs filter-log-events --log-group-name /kennel
