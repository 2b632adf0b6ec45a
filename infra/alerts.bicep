// What somebody should be told of: queues that grow or age, points that are refused or cannot be
// published, and a relay that says nothing any more.
import { Thresholds } from 'types.bicep'

@description('Required. Where log alerts are created.')
param location string

@description('Required. What the names of the alerts begin with.')
param name string

@description('Optional. Tags of the alerts.')
param tags { *: string } = {}

@description('Required. Name of the function app.')
param functionAppName string

@description('Required. ID of the Log Analytics workspace with the app\'s requests.')
param workspaceId string

@description('Required. ID of the resource that has the relay\'s metrics on itself.')
param relayResourceId string

@description('Required. IDs of the resources that have depth and age of sampled queues.')
param queueResourceIds string[]

@description('Optional. Namespace of depth and age.')
param queueNamespace string = 'QueueProcessing'

@description('Optional. From which values on the alerts fire.')
param thresholds Thresholds = {}

@description('Optional. IDs of the action groups, of the same subscription, that are told; without any, alerts show in the portal alone.')
param actionGroupIds string[] = []

module queues 'alerts/metrics.bicep' = [
  for id in queueResourceIds: {
    name: '${name}-alerts-${uniqueString(toLower(id))}'
    params: {
      // Two accounts of one name in different groups do not meet.
      name: '${name}-${last(split(id, '/'))}-${take(uniqueString(toLower(id)), 5)}'
      tags: tags
      resourceId: id
      metricNamespace: queueNamespace
      actionGroupIds: actionGroupIds
      alerts: [
        {
          name: 'depth'
          description: 'A queue is long: it is filled faster than it is emptied.'
          severity: 3
          metric: 'QueueDepth'
          aggregation: 'Maximum'
          threshold: thresholds.?queueDepth ?? 1000
          window: 'PT15M'
          dimensions: ['QueueName']
        }
        {
          name: 'age'
          description: 'A message has been waiting in a queue for too long: nobody takes it.'
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
    // None on PointsDeferred: points of one hiccup are deferred too, and published at the next try.
    // Those that go on waiting fail their invocations, which alerts/requests.bicep looks at.
    alerts: [
      {
        name: 'dead-letters'
        description: 'Points were refused: the dead-letter queue has them, with reason and detail.'
        severity: 2
        metric: 'PointsRejected'
        aggregation: 'Total'
        threshold: 0
        window: 'PT15M'
        dimensions: ['Reason']
      }
      {
        name: 'latency'
        description: 'Metrics are published late: the ingress queue grows faster than it is drained, or a region does not answer.'
        severity: 3
        metric: 'PublishLatency'
        aggregation: 'Maximum'
        threshold: thresholds.?latency ?? 120
        window: 'PT5M'
        dimensions: []
      }
      {
        name: 'sampling'
        description: 'Something of a source cannot be sampled: a queue is gone, or a role is missing. The log of the app says which.'
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
