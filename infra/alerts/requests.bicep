// Alerts on the app's invocations in its log. A metric alert does not fire while its metric has no
// value, for example because the app is stopped or lacks its role.
import { Silence } from '../types.bicep'

@description('Required. Location of the alerts.')
param location string

@description('Required. Prefix of the names of the alerts.')
param name string

@description('Optional. Tags of the alerts.')
param tags { *: string } = {}

@description('Required. ID of the Log Analytics workspace with the app\'s requests.')
param workspaceId string

@description('Required. Name of the function app.')
param functionAppName string

@description('Required. Time without a successful run of the timer.')
param silentAfter Silence

@description('Required. IDs of the action groups that Azure notifies.')
param actionGroupIds string[]

var requests = 'AppRequests | where AppRoleName =~ "${functionAppName}"'

resource silent 'Microsoft.Insights/scheduledQueryRules@2022-06-15' = {
  name: '${name}-silent'
  location: location
  tags: tags
  kind: 'LogAlert'
  properties: {
    displayName: '${name}-silent'
    description: 'The timer function has not succeeded for ${silentAfter}: the app is stopped, cannot start, or has wrong settings.'
    severity: 1
    enabled: true
    scopes: [workspaceId]
    evaluationFrequency: 'PT15M'
    windowSize: silentAfter
    autoMitigate: true
    skipQueryValidation: true
    criteria: {
      allOf: [
        {
          query: '${requests} | where Name == "sample_sources" and Success == true'
          timeAggregation: 'Count'
          operator: 'LessThan'
          threshold: 1
          failingPeriods: {
            numberOfEvaluationPeriods: 1
            minFailingPeriodsToAlert: 1
          }
        }
      ]
    }
    actions: {
      actionGroups: actionGroupIds
    }
  }
}

resource failing 'Microsoft.Insights/scheduledQueryRules@2022-06-15' = {
  name: '${name}-failing'
  location: location
  tags: tags
  kind: 'LogAlert'
  properties: {
    displayName: '${name}-failing'
    description: 'Messages have failed for half an hour: a role, a resource or a region is missing. They wait in the queue. The log of the app has the cause.'
    severity: 2
    enabled: true
    scopes: [workspaceId]
    evaluationFrequency: 'PT15M'
    windowSize: 'PT15M'
    autoMitigate: true
    skipQueryValidation: true
    criteria: {
      allOf: [
        {
          query: '${requests} | where Name == "drain_metrics" and Success == false'
          timeAggregation: 'Count'
          operator: 'GreaterThan'
          threshold: 0
          failingPeriods: {
            numberOfEvaluationPeriods: 2
            minFailingPeriodsToAlert: 2
          }
        }
      ]
    }
    actions: {
      actionGroups: actionGroupIds
    }
  }
}
