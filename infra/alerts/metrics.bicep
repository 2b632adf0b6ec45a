// Alerts on custom metrics of one resource and namespace.

@sealed()
@description('When a metric is above a threshold.')
type MetricAlert = {
  @description('Required. What the name of the alert ends with.')
  name: string

  @description('Required. What it means, for whoever gets it.')
  description: string

  @description('Required. From 0, critical, to 4, verbose.')
  severity: 0 | 1 | 2 | 3 | 4

  @description('Required. Name of the metric.')
  metric: string

  @description('Required. What of its values is compared.')
  aggregation: 'Average' | 'Count' | 'Maximum' | 'Minimum' | 'Total'

  @description('Required. The alert fires above this.')
  threshold: int

  @description('Required. Over how long it is looked at.')
  window: 'PT5M' | 'PT15M'

  @description('Required. Dimensions by which it is split: an alert of its own for each value.')
  dimensions: string[]
}

@description('Required. What the names of the alerts begin with.')
param name string

@description('Optional. Tags of the alerts.')
param tags { *: string } = {}

@description('Required. ID of the resource that the metrics belong to.')
param resourceId string

@description('Required. Namespace of the metrics.')
param metricNamespace string

@description('Required. The alerts.')
param alerts MetricAlert[]

@description('Required. IDs of the action groups that are told; none, and alerts show in the portal alone.')
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
      // More often than the window is long: else a value that comes late, or the first of a new
      // queue, may fall between two windows.
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
