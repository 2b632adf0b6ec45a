// Alerts on custom metrics of one resource and namespace.

@sealed()
@description('An alert that fires while a metric is above a threshold.')
type MetricAlert = {
  @description('Required. Suffix of the name of the alert.')
  name: string

  @description('Required. Text of the notification.')
  description: string

  @description('Required. Severity, from 0 (critical) to 4 (verbose).')
  severity: 0 | 1 | 2 | 3 | 4

  @description('Required. Name of the metric.')
  metric: string

  @description('Required. Aggregation that is compared.')
  aggregation: 'Average' | 'Count' | 'Maximum' | 'Minimum' | 'Total'

  @description('Required. Value above which the alert fires.')
  threshold: int

  @description('Required. Period that is aggregated.')
  window: 'PT5M' | 'PT15M'

  @description('Required. Dimensions that split the alert: one for each value.')
  dimensions: string[]
}

@description('Required. Prefix of the names of the alerts.')
param name string

@description('Optional. Tags of the alerts.')
param tags { *: string } = {}

@description('Required. ID of the resource that the metrics belong to.')
param resourceId string

@description('Required. Namespace of the metrics.')
param metricNamespace string

@description('Required. The alerts.')
param alerts MetricAlert[]

@description('Required. IDs of the action groups that Azure notifies; without any, alerts appear only in the portal.')
param actionGroupIds string[]

resource rules 'Microsoft.Insights/metricAlerts@2018-03-01' = [
  for alert in alerts: {
    name: '${name}-${alert.name}'
    location: 'global'
    tags: tags
    properties: {
      description: alert.description
      severity: alert.severity
      enabled: true
      scopes: [resourceId]
      // Evaluated more often than the period is long; otherwise a late value, or the first value of a
      // new queue, can fall between two periods.
      evaluationFrequency: 'PT1M'
      windowSize: alert.window
      autoMitigate: true
      criteria: {
        'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
        allOf: [
          {
            criterionType: 'StaticThresholdCriterion'
            name: alert.name
            metricNamespace: metricNamespace
            metricName: alert.metric
            timeAggregation: alert.aggregation
            operator: 'GreaterThan'
            threshold: alert.threshold
            dimensions: map(alert.dimensions, dimension => {
              name: dimension
              operator: 'Include'
              values: ['*']
            })
            // The metric does not exist before its first value.
            skipMetricValidation: true
          }
        ]
      }
      actions: map(actionGroupIds, id => { actionGroupId: id })
    }
  }
]
