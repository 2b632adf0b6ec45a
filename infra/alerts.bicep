// Alerts on long or old queues, rejected or deferred points, errors of samples, and an app that does not run.
import { Thresholds } from 'types.bicep'

@description('Required. Location of the log alerts.')
param location string

@description('Required. Prefix of the names of the alerts.')
param name string

@description('Optional. Tags of the alerts.')
param tags { *: string } = {}

@description('Required. Name of the function app.')
param functionAppName string

@description('Required. ID of the Log Analytics workspace with the app\'s requests.')
param workspaceId string

@description('Required. ID of the resource with the relay\'s metrics about itself.')
param relayResourceId string

@description('Required. IDs of the resources with the metrics of sampled queues.')
param queueResourceIds string[]

@description('Optional. Namespace of the metrics of sampled queues.')
param queueNamespace string = 'QueueProcessing'

@description('Optional. Values above which the alerts fire.')
param thresholds Thresholds = {}

@description('Optional. IDs of the action groups, of the same subscription, that Azure notifies; without any, alerts appear only in the portal.')
param actionGroupIds string[] = []

module queues 'alerts/metrics.bicep' = [
  for id in queueResourceIds: {
    name: '${name}-alerts-${uniqueString(toLower(id))}'
    params: {
      // Resources of the same name in different groups get different alerts.
      name: '${name}-${last(split(id, '/'))}-${take(uniqueString(toLower(id)), 5)}'
      tags: tags
      resourceId: id
      metricNamespace: queueNamespace
      actionGroupIds: actionGroupIds
      alerts: [
        {
          name: 'depth'
          description: 'A queue is long: messages arrive faster than they are consumed.'
          severity: 3
          metric: 'QueueDepth'
          aggregation: 'Maximum'
          threshold: thresholds.?queueDepth ?? 1000
          window: 'PT15M'
          dimensions: ['QueueName']
        }
        {
          name: 'age'
          description: 'A message has waited in a queue for too long: no consumer takes it.'
          severity: 2
          metric: 'QueueOldestMessageAge'
          aggregation: 'Maximum'
          threshold: thresholds.?queueAge ?? 300
          window: 'PT5M'
          dimensions: ['QueueName']
        }
        {
          name: 'poison'
          description: 'A queue has poison messages: a consumer fails on them.'
          severity: 2
          metric: 'PoisonQueueDepth'
          aggregation: 'Maximum'
          threshold: 0
          window: 'PT5M'
          dimensions: ['QueueName']
        }
      ]
    }
  }
]

module relay 'alerts/metrics.bicep' = {
  name: '${name}-alerts-relay'
  params: {
    name: name
    tags: tags
    resourceId: relayResourceId
    metricNamespace: 'MetricRelay'
    actionGroupIds: actionGroupIds
    // There is no alert on PointsDeferred, because short failures defer points too. If they last,
    // invocations fail, and alerts/requests.bicep reports them.
    alerts: [
      {
        name: 'dead-letters'
        description: 'Points were rejected: the dead-letter queue has them, with reason and detail.'
        severity: 2
        metric: 'PointsRejected'
        aggregation: 'Total'
        threshold: 0
        window: 'PT15M'
        dimensions: ['Reason']
      }
      {
        name: 'latency'
        description: 'Points are published late: they arrive faster than the app drains them, or a region does not answer.'
        severity: 3
        metric: 'PublishLatency'
        aggregation: 'Maximum'
        threshold: thresholds.?latency ?? 120
        window: 'PT5M'
        dimensions: []
      }
      {
        name: 'sampling'
        description: 'A sample had errors: a queue or a role is missing. The log of the app has the details.'
        severity: 3
        metric: 'SampleErrors'
        aggregation: 'Total'
        threshold: 0
        window: 'PT15M'
        dimensions: ['Source']
      }
    ]
  }
}

module requests 'alerts/requests.bicep' = {
  name: '${name}-alerts-requests'
  params: {
    location: location
    name: name
    tags: tags
    workspaceId: workspaceId
    functionAppName: functionAppName
    silentAfter: thresholds.?silentAfter ?? 'PT15M'
    actionGroupIds: actionGroupIds
  }
}
